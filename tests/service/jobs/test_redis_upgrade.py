"""Records in Redis that a former version has written."""

import pytest
from redis import Redis

from service.jobs.redis_records import _CARRIED, RedisRecords
from tests.support.jobs import NOW, a_job, events

pytestmark = pytest.mark.slow


def _as_before_endpoints(url: str) -> None:
    """Put the events of all endpoints into one set, as versions before theirs had them."""
    with Redis.from_url(url) as redis:
        for endpoint in redis.smembers("jobs:endpoints"):
            outbox = b"jobs:outbox:" + endpoint
            redis.zunionstore("jobs:outbox", ["jobs:outbox", outbox])
            redis.delete(outbox)
        redis.delete("jobs:endpoints")


def _cancelled(records: RedisRecords, owner: str) -> str:
    """The id of a job that has ended, and whose end is sent to an endpoint."""
    job = records.accept(a_job(webhook="done", owner=owner), "", 9999).job
    records.cancel(job.id, owner, NOW)
    return job.id


def test_webhooks_of_a_former_version_are_still_owed_once(records_url: str) -> None:
    former = RedisRecords(records_url)
    jobs = {_cancelled(former, owner) for owner in ("alice", "alice", "bob")}
    _as_before_endpoints(records_url)
    assert former._client.redis.zcard("jobs:outbox") == 3
    records = RedisRecords(records_url)
    for _ in range(2):
        assert records.owed() == {"alice:done": NOW, "bob:done": NOW}
    taken = events(records, NOW)
    assert {event.job for event in taken} == jobs
    assert len(taken) == 3
    for event in taken:
        records.sent(event)
    left = {
        key for key in former._client.redis.keys("jobs:*") if b"outbox" in key or b"event" in key
    }
    assert left == set()
    assert RedisRecords(records_url).owed() == {}


def test_an_event_that_was_removed_meanwhile_is_not_owed(records_url: str) -> None:
    records = RedisRecords(records_url)
    records._client.redis.zadd("jobs:outbox", {"gone": NOW})
    assert records.owed() == {}
    assert not records._client.redis.exists("jobs:outbox")


def test_many_are_carried_over_by_and_by(records_url: str) -> None:
    former = RedisRecords(records_url)
    jobs = {_cancelled(former, "alice") for _ in range(_CARRIED + 1)}
    _as_before_endpoints(records_url)
    records = RedisRecords(records_url)
    taken = {event.job for _ in range(2) for event in events(records, NOW)}
    assert taken == jobs
