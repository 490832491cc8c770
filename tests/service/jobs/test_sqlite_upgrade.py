"""Records in a SQLite file that a former version has written."""

import sqlite3
from contextlib import closing
from pathlib import Path

from service.jobs.sqlite_records import SqliteRecords
from service.jobs.states import State
from tests.support.jobs import NOW, a_job, events


def _as_version_2(path: Path) -> None:
    """Take away what version 3 has added."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "DROP INDEX owed; ALTER TABLE outbox DROP COLUMN endpoint; PRAGMA user_version = 2"
        )


def _as_version_1(path: Path) -> None:
    """Take away what version 2 has added, too."""
    _as_version_2(path)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "DROP TRIGGER counted; DROP TRIGGER uncounted; DROP TABLE counts; DROP INDEX waiting;"
            "CREATE INDEX waiting ON jobs (kind, due) WHERE state IN ('accepted', 'queued');"
            "PRAGMA user_version = 1"
        )


def test_jobs_of_a_former_version_are_kept_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    former = SqliteRecords(path)
    first, second = a_job(), a_job(kind="table")
    former.accept(first, "", 9)
    former.accept(second, "", 9)
    _as_version_1(path)
    records = SqliteRecords(path)
    assert records.get(first.id) == first
    assert records.counts() == {"score": {State.ACCEPTED: 1}, "table": {State.ACCEPTED: 1}}
    records.cancel(first.id, "alice", NOW)
    records.drop(first.id)
    records.cancel(second.id, "alice", NOW)
    assert records.counts() == {"table": {State.CANCELLED: 1}}
    assert SqliteRecords(path).counts() == records.counts()


def test_webhooks_of_a_former_version_are_still_owed(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    former = SqliteRecords(path)
    job = former.accept(a_job(webhook="done"), "", 9).job
    former.cancel(job.id, job.owner, NOW)
    _as_version_2(path)
    records = SqliteRecords(path)
    assert records.owed() == {f"{job.owner}:done": NOW}
    assert [event.job for event in events(records, NOW)] == [job.id]
