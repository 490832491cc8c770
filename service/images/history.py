"""The history of pictures: what was answered, and the pictures as PNG files, in a SQLite file.

Bounded for each key in number, and over all in bytes; the oldest entries go first. A picture goes
with the last entry that shows it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

import msgspec

from service.config.settings import Settings

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pictures (digest TEXT PRIMARY KEY, png BLOB);
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, model TEXT, query TEXT, version TEXT,
    score BLOB, digest TEXT REFERENCES pictures, bytes INTEGER, created REAL
);
CREATE INDEX IF NOT EXISTS owned ON entries (owner, model, id);
CREATE INDEX IF NOT EXISTS newest ON entries (owner, id);
CREATE INDEX IF NOT EXISTS shown ON entries (digest);

-- The bytes of all pictures: their sum would read each of them for each new one.
CREATE TABLE IF NOT EXISTS total (bytes INTEGER);
INSERT INTO total
    SELECT coalesce(sum(length(png)), 0) FROM pictures HAVING NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON pictures BEGIN
    UPDATE total SET bytes = bytes + length(NEW.png);
END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON pictures BEGIN
    UPDATE total SET bytes = bytes - length(OLD.png);
END;
CREATE TRIGGER IF NOT EXISTS unshown AFTER DELETE ON entries
WHEN NOT EXISTS (SELECT 1 FROM entries WHERE digest = OLD.digest) BEGIN
    DELETE FROM pictures WHERE digest = OLD.digest;
END;
"""
_COLUMNS: Final = "id, owner, model, query, version, score, digest, bytes, created"
# Short enough that a caller gets its 503 within a second.
_BUSY_SECONDS: Final = 0.8
_NAME: Final = "history.sqlite"


class HistoryUnavailable(Exception):
    """The history can't be read or written now."""


class Entry(NamedTuple):
    """One answer. `score` is the model's, as JSON has it; `bytes` are those of the picture."""

    id: int
    owner: str
    model: str
    query: str
    version: str
    score: dict[str, Any]
    digest: str
    bytes: int
    created: float

    @property
    def url(self) -> str:
        """The address of the picture."""
        return f"/uploads/{self.digest}.png"


class New(NamedTuple):
    """An answer to be kept."""

    owner: str
    model: str
    query: str
    version: str
    score: dict[str, Any]
    png: bytes
    created: float


class History:
    """The history of all keys, for all threads of a process; each key sees its own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._most_entries = settings.history_entries
        self._most_bytes = settings.history_mb << 20
        self._path = folder / _NAME
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None

    def add(self, new: New) -> Entry:
        """Keep an answer, and remove what exceeds the bounds. Raises HistoryUnavailable."""
        digest = sha256(new.png).hexdigest()
        entry = Entry(0, *new[:5], digest, len(new.png), new.created)
        values = entry._replace(score=msgspec.json.encode(new.score))[1:]  # type: ignore[arg-type]
        with self._change() as database:
            picture = "INSERT OR IGNORE INTO pictures VALUES (?, ?)"
            database.execute(picture, (digest, new.png))
            added = database.execute(
                "INSERT INTO entries (owner, model, query, version, score, digest, bytes, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = added.lastrowid or 0
            self._trim(database, new.owner)
        return entry._replace(id=number)

    def page(self, owner: str, model: str, after: int, limit: int) -> Sequence[Entry]:
        """A model's entries from behind the id `after` on, oldest first.

        Raises HistoryUnavailable.
        """
        wanted = "owner = ? AND model = ? AND id > ? ORDER BY id LIMIT ?"
        return self._entries(wanted, owner, model, after, limit)

    def newest(self, owner: str, limit: int) -> Sequence[Entry]:
        """The newest entries of all models, newest first. Raises HistoryUnavailable."""
        return self._entries("owner = ? ORDER BY id DESC LIMIT ?", owner, limit)

    def picture(self, owner: str, digest: str) -> bytes | None:
        """The PNG file of a picture that an entry of this owner shows.

        Raises HistoryUnavailable.
        """
        query = (
            "SELECT png FROM pictures WHERE digest = ?"
            " AND EXISTS (SELECT 1 FROM entries WHERE digest = pictures.digest AND owner = ?)"
        )
        with self._change() as database:
            row = database.execute(query, (digest, owner)).fetchone()
        return bytes(row[0]) if row else None

    def delete(self, owner: str, digest: str) -> bool:
        """Remove the owner's entries of a picture; whether there were any.

        Raises HistoryUnavailable.
        """
        with self._change() as database:
            query = "DELETE FROM entries WHERE owner = ? AND digest = ?"
            removed = database.execute(query, (owner, digest)).rowcount
        return removed > 0

    def _entries(self, wanted: str, *values: object) -> Sequence[Entry]:
        with self._change() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE {wanted}",  # noqa: S608 - of constants
                values,
            ).fetchall()
        return [Entry._make((*row[:5], msgspec.json.decode(row[5]), *row[6:])) for row in rows]

    def _trim(self, database: sqlite3.Connection, owner: str) -> None:
        database.execute(
            "DELETE FROM entries WHERE owner = ? AND id <="
            " (SELECT id FROM entries WHERE owner = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (owner, owner, self._most_entries),
        )
        while database.execute("SELECT bytes FROM total").fetchone()[0] > self._most_bytes:
            database.execute("DELETE FROM entries WHERE id = (SELECT min(id) FROM entries)")

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
            self._database = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(_SCHEMA)
        return self._database
