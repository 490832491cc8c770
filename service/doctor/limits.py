"""Limits of the kernel: open files, waiting connections, processes, memory that is promised."""

import resource
from collections.abc import Iterator
from typing import Final

from gunicorn.config import Backlog, WorkerConnections

from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine
from service.process.open_files import OTHERS

CONNECTIONS: Final[int] = WorkerConnections.default
BACKLOG: Final[int] = Backlog.default
# Itself, and a thread each for a scrape, for Sentry and for traces.
_TASKS: Final = 4
# What a fork is charged for a worker under strict accounting: its writable memory, used or not.
_PROMISED: Final = 1200 << 20
_GIB: Final = 1 << 30


def open_files(hard: int) -> Iterator[Finding]:
    """Whether a worker may hold as many connections as gunicorn lets in.

    `hard` is the limit that the server takes at its start, whatever the soft one is.
    """
    needed = CONNECTIONS + OTHERS
    if hard in (resource.RLIM_INFINITY, -1) or hard >= needed:
        is_endless = hard in (resource.RLIM_INFINITY, -1)
        yield ok("open files", "without limit" if is_endless else f"{hard:,} for each worker")
        return
    room = max(0, hard - OTHERS)
    found = f"{hard:,} for each worker: it takes {room:,} connections, {CONNECTIONS:,} otherwise"
    tell = fail if room * 10 < CONNECTIONS else warn
    mend = f"ulimit -Hn {needed}; systemd: LimitNOFILE=, compose: ulimits"
    yield tell("open files", found, mend)


def backlog(machine: Machine) -> Iterator[Finding]:
    """Whether the kernel lets as many connections wait as gunicorn asks for."""
    allowed = machine.number("proc/sys/net/core/somaxconn")
    if allowed < BACKLOG:
        found = f"somaxconn lets {allowed:,} connections wait, gunicorn asks for {BACKLOG:,}"
        mend = f"sysctl net.core.somaxconn={BACKLOG}: more than wait try again after a second"
        yield warn("backlog", found, mend)
    else:
        yield ok("backlog", f"{BACKLOG:,} connections may wait to be accepted")


def processes(machine: Machine, workers: int) -> Iterator[Finding]:
    """Whether the control group allows a server and the second generation of a reload."""
    ceiling = machine.ceiling("pids", "pids.max")
    serving, reloading = 1 + workers * _TASKS, 1 + 2 * workers * _TASKS
    if ceiling is None or ceiling >= reloading:
        yield ok("processes", "no limit" if ceiling is None else f"{ceiling:,} are allowed")
        return
    found = f"{ceiling} are allowed, with their threads; {workers} workers take up to {reloading}"
    tell = fail if ceiling < serving else warn
    yield tell("processes", found, "raise pids.max: docker's --pids-limit, systemd's TasksMax")


def overcommit(machine: Machine, workers: int) -> Iterator[Finding]:
    """Whether the kernel counts what a fork might write: far more than it does."""
    if machine.number("proc/sys/vm/overcommit_memory") != 2:
        yield ok("overcommit", "memory is counted when it is used")
        return
    memory = machine.memory()
    room, needed = memory["CommitLimit"] - memory["Committed_AS"], workers * _PROMISED
    shown = f"strict: {room / _GIB:.1f} GiB can be promised"
    if room < needed:
        mend = "sysctl vm.overcommit_memory=0, or fewer workers: forks would fail"
        yield warn("overcommit", f"{shown}, {workers} workers ask for {needed / _GIB:.1f}", mend)
    else:
        yield ok("overcommit", shown)
