"""Jobs: the folder of the embedded form; broker and records of the distributed one."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from model import catalog
from service.amqp import topology
from service.config.settings import Settings
from service.doctor.finding import Finding, fail, ok, unknown, warn
from service.doctor.machine import Machine
from service.jobs.job import usual_kinds
from service.jobs.stores import configured_folder, is_embedded

if TYPE_CHECKING:
    from service.jobs.inspection import Broker, QueueState, RecordsServer

_PACKAGES: Final = ("celery", "pika", "redis")
_INSTALL: Final = "pip install '.[queue]', or requirements-queue.lock"
# SQLite's write-ahead log needs memory that its processes share, which no such file system has.
_REMOTE: Final = re.compile(r"nfs|cifs|smb|fuse[.]|9p|ceph|glusterfs|afs|lustre|virtiofs")
_MIB: Final = 1 << 20
# Quorum queues that move their dead letters at least once came with it.
_LEAST_RABBITMQ: Final = (3, 10)
_LEAST_REDIS: Final = (6, 0)
# Leases are as short, and each machine reads them by its own clock.
_GREATEST_SKEW: Final = 2.0
_FULL: Final = 0.8
# In MiB, beside input and result: what openpyxl or an explanation may take.
_JOB_MEMORY: Final = 256


def jobs(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """What keeps jobs, in the form that the settings choose."""
    if is_embedded(settings):
        yield _folder(machine, settings)
        yield _memory(machine, settings)
        return
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        yield fail("jobs", f"not installed: {', '.join(missing)}", _INSTALL)
        return
    if settings.records and not settings.broker:
        state = "SCORING_RECORDS without SCORING_BROKER: neither web processes nor workers start"
        yield fail("jobs", state, "set both, or neither")
        return
    yield from _broker(settings)
    if settings.records:
        yield _folder(machine, settings)
        yield _memory(machine, settings)
        yield from _records(settings)
    else:
        state = "SCORING_BROKER without SCORING_RECORDS: AMQP workers start, web processes do not"
        yield warn("records", state, "set both where jobs are to be done")


def _folder(machine: Machine, settings: Settings) -> Finding:
    """Whether inputs, results and, in the embedded form, records have a place."""
    folder = configured_folder(settings).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        state = f"{there} can't be written to: web processes would not start"
        remedy = "name a folder of the service's user: SCORING_JOBS_DIR"
        # A server that only scores needs none.
        return (fail if settings.jobs_dir else unknown)("jobs", state, remedy)
    kind, free = machine.file_system(there), shutil.disk_usage(there).free
    room = f"{folder} has {free / _MIB:,.0f} MiB free"
    needed = 2 * settings.job_max_mb  # an input, and its result
    if not settings.records and _REMOTE.match(kind):
        state = f"{folder} is on {kind}: SQLite may damage the records there"
        return fail("jobs", state, "a folder on a disk of this machine: SCORING_JOBS_DIR")
    if free < needed * _MIB:
        state = f"{room}, a job of the greatest size needs {needed:,}"
        return warn("jobs", state, "make room there, or set a smaller SCORING_JOB_MAX_MB")
    if machine.is_in_memory(there):
        state = f"{folder} is in memory: a restart of the machine loses all jobs"
        return warn("jobs", state, "a folder on a disk: SCORING_JOBS_DIR")
    if settings.records:
        return ok("jobs", f"{room}; web processes and workers must share it")
    return ok("jobs", f"embedded; {room}")


def _memory(machine: Machine, settings: Settings) -> Finding:
    """Whether a job of the greatest size has the memory that it needs, and the machine has it."""
    allowed, needed = settings.job_memory_mb, _JOB_MEMORY + 2 * settings.job_max_mb
    if allowed < needed:
        state = f"a job may take {allowed:,} MiB, one of the greatest size needs up to {needed:,}"
        remedy = f"SCORING_JOB_MEMORY_MB={needed}, or a smaller SCORING_JOB_MAX_MB"
        return warn("job memory", state, remedy)
    processes = settings.job_workers * (1 if is_embedded(settings) else len(usual_kinds(settings)))
    room, together = machine.room() // _MIB, processes * allowed
    shown = f"{room:,} MiB; jobs take {together:,} at most"
    if room < together:
        return warn("job memory", shown, "a smaller SCORING_JOB_MEMORY_MB or SCORING_JOB_WORKERS")
    return ok("job memory", shown)


def _broker(settings: Settings) -> Iterator[Finding]:
    """Whether RabbitMQ can be reached and used, and what it is like."""
    from service.jobs.inspection import Broker, Refused, Unreachable  # noqa: PLC0415 - an extra

    where = without_password(settings.broker)
    try:
        broker = Broker(settings.broker)
        with closing(broker):
            yield _version("broker", "RabbitMQ", broker.version, _LEAST_RABBITMQ, where)
            yield _alarm(broker)
            of_jobs = broker.job_queues(usual_kinds(settings)) if settings.records else []
            if queues := [*of_jobs, *_request_queues(broker)]:
                yield _queues(queues)
    except Refused as reason:
        state = f"{where} refuses this user ({reason})"
        yield fail("broker", state, "correct user, password and virtual host in SCORING_BROKER")
    except Unreachable as reason:
        state = f"{where} can't be reached ({reason})"
        yield fail("broker", state, "start it, or correct SCORING_BROKER; jobs wait meanwhile")


def _alarm(broker: "Broker") -> Finding:
    is_blocked = broker.is_blocked()
    if is_blocked is None:
        return unknown("broker alarm", "this user may not publish jobs")
    if not is_blocked:
        return ok("broker alarm", "it takes messages")
    state = "an alarm of memory or disk is on: publishers wait, and jobs with them"
    remedy = "rabbitmq-diagnostics alarms; give it room, or see why its queues are long"
    return fail("broker alarm", state, remedy)


def _request_queues(broker: "Broker") -> "Iterator[QueueState]":
    """The queues of requests over AMQP that are there, if this user may look at them."""
    for name in (*map(topology.queue_of, catalog.entries()), topology.UNROUTABLE):
        queue = broker.queue(name, topology.QUEUE_ARGUMENTS)
        if queue.limits in {"same", "other"}:
            yield queue


def _queues(queues: "list[QueueState]") -> Finding:
    """Whether the queues have the type and the limits that workers declare."""
    other = [queue.name for queue in queues if queue.limits == "other"]
    missing = [queue.name for queue in queues if queue.limits == "missing"]
    idle = [queue.name for queue in queues if queue.waiting and not queue.consumers]
    if other:
        state = f"declared with another type or other limits: {', '.join(other)}"
        remedy = "workers don't start so: let them run empty, then rabbitmqctl delete_queue each"
        return fail("broker queues", state, remedy)
    if idle:
        state = f"messages wait, and nobody consumes: {', '.join(idle)}"
        remedy = "start workers: python -m service.jobs worker, python -m service.amqp"
        return fail("broker queues", state, remedy)
    if missing:
        state = f"not there yet: {', '.join(missing)}"
        return unknown("broker queues", state, "the first job worker declares them")
    if any(queue.limits == "unknown" for queue in queues):
        return unknown(
            "broker queues",
            "this user may not declare them: ask with the SCORING_BROKER of a worker",
        )
    told = (f"{queue.name} {queue.waiting}" for queue in queues)
    return ok("broker queues", f"as declared; waiting: {', '.join(told)}")


def _records(settings: Settings) -> Iterator[Finding]:
    """Whether Redis can be reached, keeps what it is given, and has the same time."""
    from service.jobs.inspection import (  # noqa: PLC0415 - an extra
        Refused,
        Unreachable,
        records_server,
    )

    where = without_password(settings.records)
    try:
        server = records_server(settings.records)
    except Refused as reason:
        state = f"{where} refuses this user ({reason})"
        yield fail("records", state, "correct user and password in SCORING_RECORDS")
        return
    except Unreachable as reason:
        state = f"{where} can't be reached ({reason})"
        yield fail("records", state, "start it, or correct SCORING_RECORDS; no job is taken until")
        return
    yield _version("records", "Redis", server.version, _LEAST_REDIS, where)
    yield _persistence(server)
    yield _eviction(server)
    yield _clock(server)


def _persistence(server: "RecordsServer") -> Finding:
    if not server.is_persistent:
        state = "appendonly is off: a restart of Redis loses accepted jobs"
        return fail("records persistence", state, "appendonly yes in redis.conf")
    if not server.is_written:
        state = "Redis can't write its append-only file: it takes no changes"
        return fail("records persistence", state, "make room on its disk; its log has the reason")
    return ok("records persistence", "the append-only file is written")


def _eviction(server: "RecordsServer") -> Finding:
    if server.eviction != "noeviction":
        state = f"maxmemory-policy is {server.eviction}: Redis may remove records of jobs"
        remedy = "maxmemory-policy noeviction; a cache needs a Redis of its own"
        return fail("records memory", state, remedy)
    used = f"{server.used / _MIB:,.0f} MiB"
    if not server.limit:
        return ok("records memory", f"{used}, without a limit; nothing is evicted")
    limited = f"{used} of {server.limit / _MIB:,.0f} MiB"
    if server.used > _FULL * server.limit:
        remedy = "a greater maxmemory, or a smaller SCORING_JOB_KEEP_HOURS"
        return warn("records memory", f"{limited}: when it is full, no job is taken", remedy)
    return ok("records memory", f"{limited}; nothing is evicted")


def _clock(server: "RecordsServer") -> Finding:
    if abs(server.ahead) > _GREATEST_SKEW:
        direction = "ahead of" if server.ahead > 0 else "behind"
        state = f"Redis' clock is {abs(server.ahead):.1f} s {direction} this machine's"
        remedy = "let all machines follow one time server: leases and deadlines are by the clock"
        return fail("clock", state, remedy)
    return ok("clock", f"{abs(server.ahead):.1f} s from Redis' clock")


def _version(name: str, product: str, version: str, least: tuple[int, ...], where: str) -> Finding:
    found = tuple(int(part) for part in re.findall(r"\d+", version)[: len(least)])
    wanted = ".".join(map(str, least))
    if found < least:
        state = f"{where}: {product} {version or 'of an unknown version'}"
        return fail(name, state, f"{product} {wanted} or newer")
    return ok(name, f"{where}: {product} {version}")


def without_password(url: str) -> str:
    """The address of a server; host and port do not tell who may use it."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
