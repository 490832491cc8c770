"""The history of pictures in a SQLite file: that of the embedded form."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from service.images.history import Bounds, Entry, History, HistoryUnavailable, New

_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, model TEXT, query TEXT, version TEXT,
    score BLOB, digest TEXT, bytes INTEGER, created REAL
);
CREATE INDEX IF NOT EXISTS owned ON entries (owner, model, id);
CREATE INDEX IF NOT EXISTS newest ON entries (owner, id);
CREATE INDEX IF NOT EXISTS shown_to ON entries (owner, digest);
CREATE TABLE IF NOT EXISTS kept (
    owner TEXT, digest TEXT, png BLOB, PRIMARY KEY (owner, digest)
);

-- The bytes of each key's pictures: their sum would read each of them for each new one.
CREATE TABLE IF NOT EXISTS sizes (owner TEXT PRIMARY KEY, bytes INTEGER);
CREATE TRIGGER IF NOT EXISTS grown AFTER INSERT ON kept BEGIN
    INSERT INTO sizes VALUES (NEW.owner, length(NEW.png))
        ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER IF NOT EXISTS shrunk AFTER DELETE ON kept BEGIN
    UPDATE sizes SET bytes = bytes - length(OLD.png) WHERE owner = OLD.owner;
END;
CREATE TRIGGER IF NOT EXISTS no_longer_shown AFTER DELETE ON entries
WHEN NOT EXISTS (SELECT 1 FROM entries WHERE owner = OLD.owner AND digest = OLD.digest) BEGIN
    DELETE FROM kept WHERE owner = OLD.owner AND digest = OLD.digest;
END;

-- A file of an earlier version: one picture for all keys.
CREATE TABLE IF NOT EXISTS pictures (digest TEXT PRIMARY KEY, png BLOB);
INSERT OR IGNORE INTO kept SELECT owner, digest, png FROM entries JOIN pictures USING (digest);
DROP TRIGGER IF EXISTS unshown;
DROP TABLE pictures;
DROP TABLE IF EXISTS total;
DROP INDEX IF EXISTS shown;
COMMIT;
"""
_COLUMNS: Final = "id, owner, model, query, version, score, digest, bytes, created"
# Short enough that a caller gets its 503 within a second.
_BUSY_SECONDS: Final = 0.8
_NAME: Final = "history.sqlite"


class SqliteHistory(History):
    """The history in a file, for the processes of one machine."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self._path = folder / _NAME
        self._bounds = bounds
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None

    def add(self, new: New) -> Entry:
        entry = new.entry()
        values = entry._replace(score=msgspec.json.encode(new.score))[1:]  # type: ignore[arg-type]
        with self._change() as database:
            picture = "INSERT OR IGNORE INTO kept VALUES (?, ?, ?)"
            database.execute(picture, (new.owner, entry.digest, new.png))
            added = database.execute(
                "INSERT INTO entries (owner, model, query, version, score, digest, bytes, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = added.lastrowid or 0
            self._trim(database, new.owner)
        return entry._replace(id=number)

    def page(self, owner: str, model: str, after: int, limit: int) -> Sequence[Entry]:
        wanted = "owner = ? AND model = ? AND id > ? ORDER BY id LIMIT ?"
        return self._entries(wanted, owner, model, after, limit)

    def newest(self, owner: str, limit: int) -> Sequence[Entry]:
        return self._entries("owner = ? ORDER BY id DESC LIMIT ?", owner, limit)

    def picture(self, owner: str, digest: str) -> bytes | None:
        query = "SELECT png FROM kept WHERE owner = ? AND digest = ?"
        with self._change() as database:
            row = database.execute(query, (owner, digest)).fetchone()
        return bytes(row[0]) if row else None

    def delete(self, owner: str, digest: str) -> bool:
        with self._change() as database:
            query = "DELETE FROM entries WHERE owner = ? AND digest = ?"
            removed = database.execute(query, (owner, digest)).rowcount
        return removed > 0

    def _entries(self, wanted: str, *values: object) -> Sequence[Entry]:
        with self._change() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE {wanted}",
                values,
            ).fetchall()
        return [Entry._make((*row[:5], msgspec.json.decode(row[5]), *row[6:])) for row in rows]

    def _trim(self, database: sqlite3.Connection, owner: str) -> None:
        database.execute(
            "DELETE FROM entries WHERE owner = ? AND id <="
            " (SELECT id FROM entries WHERE owner = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (owner, owner, self._bounds.entries),
        )
        largest = "SELECT owner, bytes FROM sizes ORDER BY bytes DESC, owner DESC LIMIT 1"
        of_owner = "SELECT bytes FROM sizes WHERE owner = ?"
        oldest = "DELETE FROM entries WHERE id = (SELECT min(id) FROM entries WHERE owner = ?)"
        while database.execute(of_owner, (owner,)).fetchone()[0] > self._bounds.key_bytes:
            database.execute(oldest, (owner,))
        while database.execute("SELECT total(bytes) FROM sizes").fetchone()[0] > (
            self._bounds.all_bytes
        ):
            database.execute(oldest, database.execute(largest).fetchone()[:1])

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction. Raises HistoryUnavailable."""
        try:
            with self._lock:
                database = self._opened()
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    yield database
        except sqlite3.Error as error:
            raise HistoryUnavailable from error

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            database = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(_SCHEMA)
            except sqlite3.Error:
                database.close()
                raise
            self._database = database
        return self._database
