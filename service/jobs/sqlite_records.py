"""Records of jobs in a SQLite file: those of the embedded form."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, Final

import msgspec

from service.jobs import transitions
from service.jobs.job import Job
from service.jobs.records import (
    Accepted,
    Event,
    Full,
    KeyReused,
    Records,
    RecordsUnavailable,
    end_of,
)
from service.jobs.states import State

# What brings a file to the next version, statements separated by empty lines. The first text makes
# a new file one of version 2, and one of version 1, too.
_TO_VERSION_2: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT, key TEXT, kind TEXT, state TEXT,
    due REAL, lease_until REAL, unattended REAL, expires REAL, record BLOB
) WITHOUT ROWID

CREATE UNIQUE INDEX IF NOT EXISTS keys ON jobs (owner, key) WHERE key <> ''

CREATE INDEX IF NOT EXISTS owned ON jobs (owner, id)

DROP INDEX IF EXISTS waiting

CREATE INDEX waiting ON jobs (kind, due, state) WHERE state IN ('accepted', 'queued')

CREATE INDEX IF NOT EXISTS running ON jobs (lease_until) WHERE state = 'running'

CREATE INDEX IF NOT EXISTS states ON jobs (state, id)

CREATE INDEX IF NOT EXISTS unattended ON jobs (unattended)

CREATE INDEX IF NOT EXISTS ended ON jobs (expires) WHERE expires > 0

CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY, due REAL, dead INTEGER, record BLOB
) WITHOUT ROWID

CREATE INDEX IF NOT EXISTS undelivered ON outbox (dead, due)

CREATE TABLE counts (
    kind TEXT, state TEXT, jobs INTEGER, PRIMARY KEY (kind, state)
) WITHOUT ROWID

INSERT INTO counts SELECT kind, state, COUNT(*) FROM jobs GROUP BY kind, state

CREATE TRIGGER counted AFTER UPDATE OF state ON jobs WHEN old.state IS NOT new.state BEGIN
    UPDATE counts SET jobs = jobs - 1 WHERE kind = old.kind AND state = old.state;
    INSERT INTO counts VALUES (new.kind, new.state, 1)
        ON CONFLICT (kind, state) DO UPDATE SET jobs = jobs + 1;
END

CREATE TRIGGER uncounted AFTER DELETE ON jobs BEGIN
    UPDATE counts SET jobs = jobs - 1 WHERE kind = old.kind AND state = old.state;
END

PRAGMA user_version = 2
"""
_TO_VERSION_3: Final = """
ALTER TABLE outbox ADD COLUMN endpoint TEXT

UPDATE outbox SET endpoint = json_extract(CAST(record AS TEXT), '$.owner') || ':'
    || json_extract(CAST(record AS TEXT), '$.webhook')

CREATE INDEX owed ON outbox (endpoint, due) WHERE dead = 0

PRAGMA user_version = 3
"""
_UPGRADES: Final = ((2, _TO_VERSION_2), (3, _TO_VERSION_3))
_WAITING: Final = "state IN ('accepted', 'queued')"
# Short enough that a caller gets its 503 within a second.
_BUSY_SECONDS: Final = 0.8
_DEAD_EVENTS: Final = 1000

_encode: Final = msgspec.json.Encoder().encode
_job: Final = msgspec.json.Decoder(Job).decode
_event: Final = msgspec.json.Decoder(Event).decode


class SqliteRecords(Records):
    """Records in one file, in WAL mode. Every change is on the disk before it is returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = _Process()
        with self._change() as database:
            found = database.execute("PRAGMA user_version").fetchone()[0]
            for version, upgrade in _UPGRADES:
                if found < version:
                    for statement in upgrade.split("\n\n"):
                        database.execute(statement)

    def accept(self, job: Job, idempotency_key: str, limit: int) -> Accepted:
        with self._change() as database:
            same = "SELECT record FROM jobs WHERE owner = ? AND key = ? AND key <> ''"
            if row := database.execute(same, (job.owner, idempotency_key)).fetchone():
                known = _job(row[0])
                if known.fingerprint != job.fingerprint:
                    raise KeyReused
                return Accepted(known, replayed=True)
            waiting = f"SELECT TOTAL(jobs) FROM counts WHERE {_WAITING} AND kind = ?"
            if database.execute(waiting, (job.kind,)).fetchone()[0] >= limit:
                raise Full
            database.execute(
                "INSERT INTO jobs (id, owner, key, kind) VALUES (?, ?, ?, ?)",
                (job.id, job.owner, idempotency_key, job.kind),
            )
            _store(database, job)
        return Accepted(job, replayed=False)

    def get(self, job: str) -> Job | None:
        return next(iter(self._jobs("id = ?", job)), None)

    def change(self, job: str, event: Callable[[Job], Job | None]) -> Job | None:
        with self._change() as database:
            row = database.execute("SELECT record FROM jobs WHERE id = ?", (job,)).fetchone()
            if row is None:
                return None
            before = _job(row[0])
            after = event(before)
            if after is not None and after is not before:
                _store(database, after)
                if notice := end_of(before, after):
                    _store_event(database, notice)
            return after

    def list(self, owner: str, state: State | None, after: str, limit: int) -> Sequence[Job]:
        condition = (
            "owner = ? AND (? = '' OR id < ?) AND (? = '' OR state = ?) ORDER BY id DESC LIMIT ?"
        )
        wanted = str(state or "")
        return self._jobs(condition, owner, after, after, wanted, wanted, limit)

    def due(self, kinds: Sequence[str], now: float, limit: int) -> Sequence[str]:
        of_kinds = f"kind IN ({', '.join('?' * len(kinds))})"
        query = (
            f"SELECT id, due FROM jobs WHERE {_WAITING} AND due <= ? AND {of_kinds} UNION ALL "
            f"SELECT id, due FROM jobs WHERE {_WAITING} AND due > ? AND {of_kinds} UNION ALL "
            f"SELECT id, due FROM jobs WHERE state = 'running' AND lease_until <= ? AND {of_kinds} "
            "ORDER BY due, id LIMIT ?"
        )
        later = now + transitions.LONGEST_PAUSE
        found = self._rows(query, now, *kinds, later, *kinds, now, *kinds, limit)
        return [row[0] for row in found]

    def dead(self, after: str, limit: int) -> Sequence[Job]:
        condition = "state = 'dead' AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?"
        return self._jobs(condition, after, after, limit)

    def running(self, limit: int) -> Sequence[Job]:
        return self._jobs("state = 'running' LIMIT ?", limit)

    def longest_leased(self, limit: int) -> Sequence[Job]:
        return self._jobs("state = 'running' ORDER BY lease_until DESC LIMIT ?", limit)

    def unattended(self, now: float, limit: int) -> Sequence[Job]:
        return self._jobs("unattended <= ? ORDER BY unattended LIMIT ?", now, limit)

    def expired(self, now: float, limit: int) -> Sequence[Job]:
        return self._jobs("expires > 0 AND expires <= ? ORDER BY expires LIMIT ?", now, limit)

    def counts(self) -> dict[str, dict[State, int]]:
        counted: dict[str, dict[State, int]] = {}
        for kind, state, jobs in self._rows("SELECT kind, state, jobs FROM counts WHERE jobs > 0"):
            counted.setdefault(kind, {})[State(state)] = jobs
        return counted

    def oldest_waiting(self, now: float) -> dict[str, float]:
        query = (
            "SELECT kind, MIN(due) FROM jobs INDEXED BY waiting "
            f"WHERE {_WAITING} AND due <= ? GROUP BY kind"
        )
        return {kind: now - due for kind, due in self._rows(query, now)}

    def position(self, job: Job) -> int:
        query = (
            "SELECT COUNT(*) FROM jobs INDEXED BY waiting "
            f"WHERE {_WAITING} AND kind = ? AND (due, id) < (?, ?)"
        )
        return 1 + int(self._rows(query, job.kind, job.due, job.id)[0][0])

    def owed(self) -> Mapping[str, float]:
        first = (
            "SELECT endpoint, due FROM outbox WHERE dead = 0 AND endpoint > ? "
            "ORDER BY endpoint, due LIMIT 1"
        )
        found: dict[str, float] = {}
        last = ""
        while rows := self._rows(first, last):  # an entry of the index each, of however many events
            ((last, due),) = rows
            found[last] = due
        return found

    def take_event(
        self, endpoint: str, latest: float, until: float, later: float = inf
    ) -> Event | None:
        one = "SELECT record, due FROM outbox WHERE dead = 0 AND endpoint = ? AND due"
        query = f"{one} <= ? UNION ALL {one} > ? ORDER BY due LIMIT 1"
        values = (endpoint, latest, endpoint, later)
        if not self._rows(query, *values):  # a look that takes no lock
            return None
        with self._change() as database:
            if (row := database.execute(query, values).fetchone()) is None:
                return None
            event = _event(row[0])
            _store_event(database, msgspec.structs.replace(event, due=until))
        return event

    def sent(self, event: Event) -> None:
        with self._change() as database:
            database.execute("DELETE FROM outbox WHERE id = ?", (event.id,))

    def unsent(self, event: Event, due: float, error: str, *, dead: bool) -> None:
        with self._change() as database:
            query = "SELECT record FROM outbox WHERE id = ?"
            if (row := database.execute(query, (event.id,)).fetchone()) is None:
                return
            known = _event(row[0])
            attempts = known.attempts + 1
            _store_event(
                database,
                msgspec.structs.replace(known, attempts=attempts, due=due, error=error, dead=dead),
            )
            oldest = "SELECT id FROM outbox WHERE dead = 1 ORDER BY due DESC LIMIT -1 OFFSET ?"
            database.execute(f"DELETE FROM outbox WHERE id IN ({oldest})", (_DEAD_EVENTS,))

    def dead_events(self, limit: int) -> Sequence[Event]:
        query = "SELECT record FROM outbox WHERE dead = 1 ORDER BY due DESC LIMIT ?"
        return [_event(row[0]) for row in self._rows(query, limit)]

    def ping(self) -> None:
        self._rows("SELECT id FROM jobs LIMIT 1")

    def durability(self) -> str:
        return "SQLite: what is accepted outlives a loss of power"

    def _remove(self, job: str, allowed: Callable[[Job], bool]) -> bool:
        with self._change() as database:
            row = database.execute("SELECT record FROM jobs WHERE id = ?", (job,)).fetchone()
            if row is None or not allowed(_job(row[0])):
                return False
            database.execute("DELETE FROM jobs WHERE id = ?", (job,))
            return True

    def _jobs(self, condition: str, *values: Any) -> Sequence[Job]:
        rows = self._rows(f"SELECT record FROM jobs WHERE {condition}", *values)
        return [_job(row[0]) for row in rows]

    def _rows(self, query: str, *values: Any) -> Sequence[Any]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise RecordsUnavailable from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock; what is done is committed unless an exception passes.

        Threads of a process wait for each other here: SQLite's waiters poll, and some may starve.
        """
        process = self._of_this_process()
        if not process.lock.acquire(timeout=_BUSY_SECONDS):
            raise RecordsUnavailable
        try:
            database = self._database
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise RecordsUnavailable from error
        finally:
            process.lock.release()

    @property
    def _database(self) -> sqlite3.Connection:
        """The connection of this thread: none passes a fork."""
        threads = self._of_this_process().threads
        if not hasattr(threads, "database"):
            threads.database = _opened(self._path)
        database: sqlite3.Connection = threads.database
        return database

    def _of_this_process(self) -> "_Process":
        if self._process.id != os.getpid():
            # Those of the parent are kept, unused: SQLite forbids to close them here.
            self._process = _Process(self._process)
        return self._process


class _Process:
    """What a process has of its own: a lock for changes, a connection for each thread."""

    def __init__(self, parent: "_Process | None" = None) -> None:
        self.parent = parent
        self.id = os.getpid()
        self.lock = threading.Lock()
        self.threads = threading.local()


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    # What was answered with 202 outlives a loss of power.
    database.execute("PRAGMA synchronous = FULL")
    return database


def _store(database: sqlite3.Connection, job: Job) -> None:
    database.execute(
        "UPDATE jobs SET state = ?, due = ?, lease_until = ?, unattended = ?, expires = ?, "
        "record = ? WHERE id = ?",
        (
            job.state,
            job.due,
            job.lease_until,
            transitions.unattended_since(job),
            job.expires,
            _encode(job),
            job.id,
        ),
    )


def _store_event(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "INSERT OR REPLACE INTO outbox (id, endpoint, due, dead, record) VALUES (?, ?, ?, ?, ?)",
        (event.id, event.endpoint, event.due, event.dead, _encode(event)),
    )
