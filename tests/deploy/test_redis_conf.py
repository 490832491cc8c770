"""The Redis of the stack, with the real server: its configuration and its users."""

from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry

from deploy.init_env import Setup
from loadgen.common.processes import free_port
from service.images.history import Bounds, New
from service.images.redis_history import RedisHistory
from service.jobs.records import RecordsUnavailable
from service.jobs.redis_records import RedisRecords
from tests.support.data_servers import DataServer
from tests.support.jobs import a_job
from tests.support.paths import ROOT
from tests.support.redis_server import installed

pytestmark = pytest.mark.slow

_ONCE = Retry(NoBackoff(), 0)


class StackRedis(DataServer):
    """A server as docker-compose.yml starts it, but at a port and a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        setup = Setup(folder)
        setup.restrict_permissions()
        list(setup.complete(force=False))
        self.port = free_port()
        url = (folder / "secrets/records").read_text().strip()
        self.url = url.replace("redis:6379", f"127.0.0.1:{self.port}")
        self.records = RedisRecords(self.url)
        own = {"dir": folder, "aclfile": folder / "secrets/records_users", "port": self.port}
        options = [text for name, value in own.items() for text in (f"--{name}", str(value))]
        ignored = ("--ignore-warnings", "ARM64-COW-BUG")
        super().__init__([installed(), str(ROOT / "deploy/redis.conf"), *options, *ignored], folder)

    def answers(self) -> bool:
        """Whether its user can log in."""
        try:
            self.records.ping()
        except RecordsUnavailable:
            return False
        return True


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[StackRedis]:
    """A running server."""
    with StackRedis(tmp_path) as server:
        yield server


def test_records_outlive_a_restart(redis: StackRedis) -> None:
    """They are written by scripts, whose effects stand in its file as transactions."""
    job = a_job()
    redis.records.accept(job, "", 10)
    redis.records.queued(job.id, time())
    before = redis.records.get(job.id)
    redis.restart()
    assert before is not None
    assert redis.records.get(job.id) == before


def test_its_user_may_touch_jobs_and_look_and_nobody_else_may_anything(redis: StackRedis) -> None:
    history = RedisHistory(redis.url, Bounds(1, 9, 9))
    _, entry = (history.add(New("alice", "digits", "", "v1", {}, png, 0.0)) for png in (b"1", b"2"))
    assert history.newest("alice", 9) == [entry]
    assert history.delete("alice", entry.digest) is True
    with Redis.from_url(redis.url) as user:
        user.hset("jobs:any", "field", "value")
        assert user.config_get("appendonly") == {"appendonly": "yes"}
        for forbidden in (user.flushall, user.acl_list, lambda: user.get("other")):
            with pytest.raises(NoPermissionError):
                forbidden()
    for password in ("", "any"):
        stranger = Redis(port=redis.port, retry=_ONCE, password=password)
        with stranger, pytest.raises(AuthenticationError):
            stranger.ping()
