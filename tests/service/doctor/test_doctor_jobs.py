"""The doctor's checks of what keeps jobs, with the real RabbitMQ and Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import kombu
import pytest
from msgspec import structs
from redis import Redis

from loadgen.common.processes import free_port
from service.config.settings import Settings
from service.doctor import jobs
from service.doctor.finding import Finding
from service.doctor.machine import Machine
from service.jobs.celery_topology import declare, queue_of
from service.jobs.job import KINDS, SCORE
from tests.support.doctor import machine
from tests.support.messages import mentions
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis_server import RedisServer

_DISK = {"proc/mounts": "/dev/sda / ext4 rw 0 0\n"}


_MEMORY = "MemAvailable: 2000000 kB"


def _embedded(
    root: Path, settings: Settings, mounts: str = _DISK["proc/mounts"]
) -> dict[str, Finding]:
    files = {"proc/mounts": mounts, "proc/meminfo": _MEMORY, "proc/self/cgroup": "0::/"}
    return {one.name: one for one in jobs.jobs(machine(root, files), settings)}


def _folder(root: Path, settings: Settings, mounts: str = _DISK["proc/mounts"]) -> Finding:
    return _embedded(root, settings, mounts)["jobs"]


def _findings(settings: Settings) -> dict[str, Finding]:
    findings = list(jobs.jobs(Machine(), settings))
    assert all(one.remedy or one.level in {"ok", "unknown"} for one in findings)
    assert not [one for one in findings if "planted" in one.description + one.remedy], "a password"
    return {one.name: one for one in findings}


# The embedded form.


def test_a_folder_on_a_disk_with_room_is_well_and_is_not_made(tmp_path: Path) -> None:
    settings = Settings(jobs_dir=str(tmp_path / "new/jobs"), job_max_mb=1)
    finding = _folder(tmp_path, settings)
    assert (finding.level, mentions(finding.description, "embedded", "MiB free")) == ("ok", True)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_can_not_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = _folder(tmp_path, Settings(jobs_dir=str(tmp_path / "file/jobs")))
    assert (finding.level, str(tmp_path / "file") in finding.description) == ("fail", True)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_records_are_for_a_disk_of_this_machine(kind: str, tmp_path: Path) -> None:
    mounts = f"{_DISK['proc/mounts']}server:/x {tmp_path} {kind} rw 0 0\n"
    finding = _folder(tmp_path, Settings(jobs_dir=str(tmp_path)), mounts)
    assert (finding.level, kind in finding.description) == ("fail", True)


def test_a_folder_in_memory_is_a_warning(tmp_path: Path) -> None:
    mounts = f"{_DISK['proc/mounts']}tmpfs {tmp_path} tmpfs rw 0 0\n"
    finding = _folder(tmp_path, Settings(jobs_dir=str(tmp_path), job_max_mb=1), mounts)
    assert (finding.level, "in memory" in finding.description) == ("warn", True)


def test_too_little_room_is_a_warning(tmp_path: Path) -> None:
    finding = _folder(tmp_path, Settings(jobs_dir=str(tmp_path), job_max_mb=1 << 30))
    assert (finding.level, f"{2 << 30:,}" in finding.description) == ("warn", True)


@pytest.mark.parametrize(
    ("settings", "level", "said"),
    [
        ({}, "ok", "1,953 MiB; jobs take 768 at most"),
        ({"job_workers": 3}, "warn", "1,953 MiB; jobs take 2,304 at most"),
        (
            {"job_max_mb": 500},
            "warn",
            "a job may take 768 MiB, one of the greatest size needs up to 1,256",
        ),
        ({"job_max_mb": 500, "job_memory_mb": 1256}, "ok", "1,953 MiB; jobs take 1,256 at most"),
    ],
)
def test_jobs_need_memory(settings: dict[str, Any], level: str, said: str, tmp_path: Path) -> None:
    finding = _embedded(tmp_path, Settings(jobs_dir=str(tmp_path), **settings))["job memory"]
    assert (finding.level, finding.description) == (level, said)


# The distributed form.


def test_records_without_a_broker_fail() -> None:
    assert _findings(Settings(records="redis://127.0.0.1:1/0"))["jobs"].level == "fail"


def test_servers_that_are_away_are_named_without_a_password() -> None:
    port = free_port()
    broker, records = f"127.0.0.1:{port}/v", f"127.0.0.1:{port}/0"
    found = _findings(
        Settings(broker=f"amqp://a:planted@{broker}", records=f"redis://a:planted@{records}")
    )
    assert [name for name, one in found.items() if one.level == "fail"] == ["broker", "records"]
    assert mentions(found["broker"].description, f"amqp://{broker}", "can't be reached")
    assert mentions(found["records"].description, f"redis://{records}", "can't be reached")


@pytest.fixture
def settings(broker_url: str, records_url: str, tmp_path: Path) -> Settings:
    """Of running servers without any queue."""
    folder = str(tmp_path)
    return Settings(broker=broker_url, records=records_url, jobs_dir=folder, job_max_mb=1)


@pytest.fixture
def declared(settings: Settings) -> Settings:
    """The same with the queues of jobs."""
    with kombu.Connection(settings.broker) as connection:
        declare(connection, *map(queue_of, KINDS))
    return settings


@pytest.mark.slow
def test_running_servers_are_well(declared: Settings) -> None:
    found = _findings(declared)
    names = (
        *("broker", "broker alarm", "broker queues", "jobs", "job memory"),
        *("records", "records persistence", "records memory", "clock"),
    )
    assert {name: one.level for name, one in found.items()} == dict.fromkeys(names, "ok")
    assert "RabbitMQ 3." in found["broker"].description
    assert "jobs.dead 0" in found["broker queues"].description


@pytest.mark.slow
def test_without_a_worker_so_far_there_are_no_queues_and_none_is_made(settings: Settings) -> None:
    for _ in range(2):
        assert _findings(settings)["broker queues"].level == "unknown"


@pytest.mark.slow
def test_a_queue_with_other_limits_fails(settings: Settings) -> None:
    with kombu.Connection(settings.broker) as connection:
        declare(connection, queue_of(SCORE, length=7))
    finding = _findings(settings)["broker queues"]
    assert (finding.level, "jobs.score" in finding.description) == ("fail", True)


@pytest.mark.slow
def test_messages_that_nobody_consumes_fail(declared: Settings) -> None:
    with kombu.Connection(declared.broker) as connection:
        connection.default_channel.basic_publish(
            kombu.transport.pyamqp.amqp.Message("x"), "", "jobs.score"
        )
    finding = _findings(declared)["broker queues"]
    assert (finding.level, "jobs.score" in finding.description) == ("fail", True)


@pytest.mark.slow
def test_an_alarm_of_the_broker_fails(declared: Settings, rabbitmq: RabbitMQ) -> None:
    with rabbitmq.memory_alarm():
        assert _findings(declared)["broker alarm"].level == "fail"
    assert _findings(declared)["broker alarm"].level == "ok"


@pytest.mark.slow
def test_a_user_of_web_processes_may_publish_and_not_look(
    declared: Settings, rabbitmq: RabbitMQ
) -> None:
    vhost = declared.broker.rpartition("/")[2]
    url = rabbitmq.add_user(f"web-{vhost}", vhost, "", "^jobs$", "")
    found = _findings(structs.replace(declared, broker=url))
    assert (found["broker alarm"].level, found["broker queues"].level) == ("ok", "unknown")


@pytest.mark.slow
def test_an_amqp_workers_broker_is_looked_at_without_records(
    declared: Settings, rabbitmq: RabbitMQ
) -> None:
    vhost = declared.broker.rpartition("/")[2]
    url = rabbitmq.add_user(f"amqp-{vhost}", vhost, "^scor", "^scor", "^scor")
    levels = {name: one.level for name, one in _findings(Settings(broker=url)).items()}
    assert levels == {"broker": "ok", "broker alarm": "unknown", "records": "warn"}


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [("planted", "wrong"), ("tests-", "nowhere-")])
def test_a_refused_user_is_told_so(old: str, new: str, declared: Settings) -> None:
    broker = declared.broker.replace(old, new)
    finding = _findings(structs.replace(declared, broker=broker))["broker"]
    assert (finding.level, "refuses" in finding.description) == ("fail", True)


@contextmanager
def configured(server: RedisServer, **wanted: str) -> Iterator[Redis]:
    """A server with other values for some of its settings."""
    with Redis(port=server.port, decode_responses=True) as client:
        before = {name: client.config_get(name)[name] for name in wanted}
        try:
            for name, value in wanted.items():
                client.config_set(name, value)
            yield client
        finally:
            for name, value in before.items():
                client.config_set(name, value)


@pytest.mark.slow
def test_a_redis_that_may_lose_or_evict_records_fails(
    declared: Settings, redis: RedisServer
) -> None:
    with configured(redis, **{"appendonly": "no", "maxmemory-policy": "allkeys-lru"}):
        found = _findings(declared)
    assert found["records persistence"].level == "fail"
    assert (
        found["records memory"].level,
        "allkeys-lru" in found["records memory"].description,
    ) == (
        "fail",
        True,
    )


@pytest.mark.slow
def test_a_redis_that_is_nearly_full_is_a_warning(declared: Settings, redis: RedisServer) -> None:
    with Redis(port=redis.port) as client:
        used = client.info("memory")["used_memory"]
    with configured(redis, maxmemory=str(int(used * 1.05))):
        assert _findings(declared)["records memory"].level == "warn"


@pytest.mark.slow
def test_redis_refuses_a_wrong_password(declared: Settings, redis: RedisServer) -> None:
    with configured(redis, requirepass="other"):
        found = _findings(declared)
    assert (found["records"].level, "refuses" in found["records"].description) == ("fail", True)


@pytest.mark.slow
def test_a_clock_that_differs_fails(declared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.inspection.time", lambda: time() - 60)
    finding = _findings(declared)["clock"]
    assert (finding.level, mentions(finding.description, "60.0 s ahead of")) == ("fail", True)
