"""The mutable part of the log, in one SQLite file: the keyring, the index, and how far it is.

An entry has a row with what is asked for most, nothing of it personal, and its salt. Forgetting
removes salts and index entries; nothing else is ever changed. Stores for analysis read here which
rows to remove.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.decisions.archive import Place

# What reading and writing raise when the file, or one of the others of the log, can't be used.
UNUSABLE: Final = (OSError, sqlite3.Error)
# Of a score, where it must not tell a plate: of 20,000 plates, 16 to 38 have the score of a golden
# reading then; exactly, none has.
SCORE_DIGITS: Final = 3
# For others who read or write.
_WAIT_SECONDS: Final = 10
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    idx INTEGER PRIMARY KEY, kind TEXT, request_id TEXT, row INTEGER, time REAL, month TEXT,
    version TEXT, decision TEXT, positive REAL, audited REAL,
    file INTEGER, place INTEGER, length INTEGER, salt BLOB
);
CREATE INDEX IF NOT EXISTS requests ON entries (request_id, row);
CREATE INDEX IF NOT EXISTS times ON entries (time);
CREATE TABLE IF NOT EXISTS subjects (mark BLOB, idx INTEGER, PRIMARY KEY (mark, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_entry ON subjects (idx);
CREATE TABLE IF NOT EXISTS labels (idx INTEGER PRIMARY KEY, outcome TEXT, source TEXT, given REAL);
CREATE TABLE IF NOT EXISTS segments (name TEXT PRIMARY KEY, done INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (size INTEGER PRIMARY KEY, time REAL, note TEXT);
CREATE TABLE IF NOT EXISTS removals (
    number INTEGER PRIMARY KEY AUTOINCREMENT, idx INTEGER, time REAL
)
"""
_COLUMNS: Final = (
    "idx, kind, request_id, row, time, month, version, decision, positive, audited, "
    "file, place, length, salt"
)


class Row(NamedTuple):
    """An entry of the log as the store has it.

    `audited` is the probability with which a decision was drawn for review, 0 if it was not.
    `salt` is None once the entry is forgotten.
    """

    entry: int
    kind: str
    request_id: str
    row: int
    time: float
    month: str
    version: str
    decision: str
    positive: float | None
    audited: float
    file: int
    place: int
    length: int
    salt: bytes | None

    @property
    def location(self) -> Place:
        """Where the archive has it."""
        return Place(self.file, self.place, self.length)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All changes of a database within, or none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


class Store:
    """The store in a file; `write` is for the one process that changes the log."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        path.chmod(0o600)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        # What is deleted is overwritten: salts must not be left in free pages.
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All changes within, or none."""
        return transaction(self._database)

    @property
    def size(self) -> int:
        """How many entries the log has."""
        (size,) = self._one("SELECT coalesce(max(idx) + 1, 0) FROM entries")
        return int(size)

    @property
    def archive_end(self) -> tuple[int, int]:
        """The file and the place behind the last entry."""
        last = self.row(self.size - 1)
        return (last.file, last.place + last.length) if last else (0, 0)

    def add(self, rows: Sequence[Row], subjects: Sequence[tuple[bytes, int]]) -> None:
        """Add entries, and the marks of whom they are about."""
        marks = ", ".join("?" * len(Row._fields))
        self._database.executemany(f"INSERT INTO entries ({_COLUMNS}) VALUES ({marks})", rows)  # noqa: S608
        self._database.executemany("INSERT OR IGNORE INTO subjects VALUES (?, ?)", subjects)

    def label(self, index: int, outcome: str, source: str, time: float) -> None:
        """Keep the outcome of a decision; a later one takes its place."""
        values = (index, outcome, source, time)
        self._database.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", values)

    def labelled(
        self, condition: str = "1", *values: Any, newest: int = -1
    ) -> Iterator[tuple[Row, str]]:
        """The decisions for which a condition of SQL holds and whose outcome is known, with it.

        They come in the order of their labels, of which only so many of the newest are looked at.
        """
        columns = ", ".join(f"entries.{name}" for name in _COLUMNS.split(", "))
        # A cross join begins with the labels, of which there are far fewer.
        query = (
            f"SELECT {columns}, outcome FROM "  # noqa: S608
            "(SELECT * FROM labels ORDER BY given DESC, idx DESC LIMIT ?) AS labels "
            "CROSS JOIN entries ON labels.idx = entries.idx "
            f"WHERE entries.kind = 'decision' AND {condition} ORDER BY given, entries.idx"
        )
        for found in self._database.execute(query, (newest, *values)):
            yield Row._make(found[:-1]), found[-1]

    @property
    def newest_label(self) -> float:
        """When the newest label was given, 0 without any."""
        (newest,) = self._one("SELECT coalesce(max(given), 0) FROM labels")
        return float(newest)

    @property
    def newest_version(self) -> str:
        """The version that made the newest decision, "" without any."""
        query = "SELECT version FROM entries WHERE kind = 'decision' ORDER BY idx DESC LIMIT 1"
        found = self._one(query)
        return str(found[0]) if found else ""

    def row(self, index: int) -> Row | None:
        """An entry by its place in the log."""
        return next(self.rows("idx = ?", index), None)

    def rows(self, condition: str = "1", *values: Any, order: str = "idx") -> Iterator[Row]:
        """Entries for which a condition of SQL holds."""
        query = f"SELECT {_COLUMNS} FROM entries WHERE {condition} ORDER BY {order}"  # noqa: S608
        return map(Row._make, self._database.execute(query, values))

    def about(self, mark: bytes) -> list[int]:
        """The places of the entries about somebody."""
        found = self._database.execute("SELECT idx FROM subjects WHERE mark = ?", (mark,))
        return [index for (index,) in found]

    def marks(self, index: int) -> set[bytes]:
        """The marks of whom an entry is about."""
        found = self._database.execute("SELECT mark FROM subjects WHERE idx = ?", (index,))
        return {mark for (mark,) in found}

    @property
    def forgotten(self) -> int:
        """How many entries have no salt."""
        return int(self._one("SELECT count(*) FROM entries WHERE salt IS NULL")[0])

    def forget(self, indexes: Sequence[int]) -> None:
        """Remove the salts of entries, and all marks of them; round their scores.

        Hardly two plates have one exact score: with the model it would tell which it was.
        """
        places = [(index,) for index in indexes]
        forgotten = "UPDATE entries SET salt = NULL, positive = round(positive, ?) WHERE idx = ?"
        rounded = [(SCORE_DIGITS, index) for index in indexes]
        self._database.executemany(forgotten, rounded)
        self._database.executemany("DELETE FROM subjects WHERE idx = ?", places)

    def add_removals(self, indexes: Sequence[int], time: float) -> None:
        """Keep which entries were forgotten, for stores that have rows of them."""
        rows = [(index, time) for index in indexes]
        self._database.executemany("INSERT INTO removals (idx, time) VALUES (?, ?)", rows)

    def removals(self, after: int, most: int) -> list[tuple[int, int]]:
        """The next removals behind one: their numbers, and the entries."""
        query = "SELECT number, idx FROM removals WHERE number > ? ORDER BY number LIMIT ?"
        return self._database.execute(query, (after, most)).fetchall()

    def removals_after(self, number: int) -> tuple[int, float | None]:
        """How many there are behind one, and the time of the first of them."""
        query = "SELECT count(*), min(time) FROM removals WHERE number > ?"
        count, first = self._one(query, number)
        return count, first

    def drop_removals(self, before: float) -> None:
        """Drop removals of so long ago: by then stores have removed the rows by their age."""
        self._database.execute("DELETE FROM removals WHERE time < ?", (before,))

    def clean(self) -> bool:
        """Leave nothing of what was deleted in the write-ahead log; False if it is being read."""
        is_busy, *_ = self._one("PRAGMA wal_checkpoint(TRUNCATE)")
        return not is_busy

    def done(self, segment: str) -> int:
        """How many bytes of a segment are in the log."""
        found = self._one("SELECT done FROM segments WHERE name = ?", segment)
        return int(found[0]) if found else 0

    def set_done(self, segment: str, done: int) -> None:
        """Note how far a segment is in the log."""
        self._database.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", (segment, done))

    def drop_segment(self, segment: str) -> None:
        """A segment is gone."""
        self._database.execute("DELETE FROM segments WHERE name = ?", (segment,))

    @property
    def head(self) -> str:
        """The latest signed checkpoint, "" before the first."""
        found = self._one("SELECT note FROM heads ORDER BY size DESC LIMIT 1")
        return str(found[0]) if found else ""

    def size_before(self, moment: float, now: float) -> int:
        """How many entries were certainly in the log before a moment, by the sink's clock.

        What was added after an entry of a later time does not count: the clock was set back. Times
        that are still to come say nothing: the clock was wrong then.
        """
        found = self._one(
            "SELECT max(size) FROM heads WHERE time < ?1 AND size < "
            "(SELECT ifnull(min(size), 1 << 62) FROM heads WHERE time BETWEEN ?1 AND ?2)",
            moment,
            now,
        )
        return int(found[0] or 0)

    def add_head(self, size: int, time: float, note: str) -> None:
        """Keep a signed checkpoint."""
        self._database.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", (size, time, note))

    def _one(self, query: str, *values: Any) -> Any:
        return self._database.execute(query, values).fetchone()
