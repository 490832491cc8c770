"""Stores that are away: an error of one kind, within a second, and no attempt of its own again."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from service.jobs.blobs import BlobsUnavailable, FileBlobs
from service.jobs.job import new_id
from service.jobs.records import Event, Records, RecordsUnavailable
from service.jobs.redis_blobs import RedisBlobs
from service.jobs.redis_records import RedisRecords
from service.jobs.sqlite_records import SqliteRecords
from tests.support.jobs import LEASE, NOW, a_job
from tests.support.redis_server import RedisServer
from tests.support.vacuous import nonempty

_EVENT = Event(
    id="x", job="x", owner="x", webhook="y", model="regno", type="job.failed", created=NOW
)


def _calls(records: Records) -> list[Callable[[], object]]:
    return [
        lambda: records.accept(a_job(), "key", 9),
        lambda: records.get("x"),
        lambda: records.claim("x", "w", NOW, LEASE),
        lambda: records.next(["score"], "w", NOW, LEASE),
        lambda: records.list("alice", None, "", 9),
        lambda: records.unattended(NOW, 9),
        records.counts,
        records.owed,
        lambda: records.take_event("x:y", NOW, NOW),
        lambda: records.unsent(_EVENT, NOW, "", dead=True),
        lambda: records.drop("x"),
        records.ping,
    ]


def test_a_locked_file_of_sqlite_is_away(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    records = SqliteRecords(path)
    job = records.accept(a_job(), "", 9).job
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        for change in (
            lambda: records.accept(a_job(), "", 9),
            lambda: records.queued(job.id, NOW),
            lambda: records.drop(job.id),
        ):
            with pytest.raises(RecordsUnavailable):
                change()
        assert records.get(job.id) == job  # readers wait for nobody
        other.rollback()
    assert records.queued(job.id, NOW) is not None


def test_a_file_that_is_no_database_is_away(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").write_bytes(b"no database, and long enough" * 99)
    with pytest.raises(RecordsUnavailable):
        SqliteRecords(tmp_path / "records.sqlite")


def test_records_of_sqlite_serve_every_thread(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "records.sqlite")
    job = records.accept(a_job(), "", 9).job
    seen = []
    thread = threading.Thread(target=lambda: seen.append(records.queued(job.id, NOW)))
    thread.start()
    thread.join()
    assert records.get(job.id) == seen[0]


@pytest.mark.slow
def test_a_redis_that_does_not_answer_is_away(redis: RedisServer, records_url: str) -> None:
    records = RedisRecords(records_url)
    records.ping()
    with redis.paused():
        for call in nonempty(_calls(records)[:4]):
            with pytest.raises(RecordsUnavailable):
                call()
    records.ping()


@pytest.mark.slow
def test_a_redis_that_is_not_there_is_away(redis: RedisServer, records_url: str) -> None:
    records = RedisRecords(records_url)
    job = records.accept(a_job(), "key", 9).job
    blobs = RedisBlobs(records_url, FileBlobs(Path("/nonexistent")), Path("/nonexistent"))
    redis.stop()
    try:
        for call in _calls(records):
            with pytest.raises(RecordsUnavailable):
                call()
        with pytest.raises(BlobsUnavailable):
            blobs.put(new_id(NOW), b"x")
    finally:
        redis.start()
    assert records.get(job.id) == job
    assert records.claim(job.id, "w", NOW, LEASE) is not None


@pytest.mark.slow
def test_what_was_accepted_outlives_a_crash_of_redis(redis: RedisServer, records_url: str) -> None:
    with redis.losing_nothing():
        records = RedisRecords(records_url)
        jobs = [records.accept(a_job(), "", 99).job for _ in range(20)]
        redis.kill()
        redis.start()
        assert [records.get(job.id) for job in jobs] == jobs


@pytest.mark.slow
def test_it_is_said_what_a_loss_of_power_may_take(records_url: str) -> None:
    records = RedisRecords(records_url)
    client = records._client.redis
    version = client.info("server")["redis_version"]
    assert version in records.durability()
    assert "everysec" in records.durability()
    client.config_set("appendfsync", "always")
    try:
        assert "outlives a loss of power" in records.durability()
        client.config_set("appendonly", "no")
        assert "without appendonly" in records.durability()
    finally:
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "everysec")


@pytest.mark.slow
def test_the_password_of_redis_stands_in_no_error(records_url: str) -> None:
    records = RedisRecords(records_url.replace("//", "//user:geheim@"))
    with pytest.raises(RecordsUnavailable) as caught:
        records.ping()
    assert "geheim" not in repr(caught.value) + repr(caught.value.__cause__) + repr(records)
