"""Limits of the kernel: open files, waiting connections, processes, memory that is promised."""

import resource
from collections.abc import Iterator
from typing import Final

from gunicorn.config import Backlog, WorkerConnections

from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine

CONNECTIONS: Final[int] = WorkerConnections.default
BACKLOG: Final[int] = Backlog.default
# What a worker holds open beside the callers' connections: 20 when idle, 16 of scrapes, its
# threads' and lookups' own.
OTHER_FILES: Final = 48
# Itself, and a thread each for a scrape, for Sentry and for traces.
_TASKS: Final = 4
# What a fork is charged for a worker under strict accounting: its writable memory, used or not.
_PROMISED: Final = 1200 << 20
_GIB: Final = 1 << 30


def open_files(soft: int, hard: int) -> Iterator[Finding]:
    """Whether a worker may hold as many connections as gunicorn lets in."""
    needed = CONNECTIONS + OTHER_FILES
    shown = "without limit" if soft == resource.RLIM_INFINITY else f"{soft:,} for each worker"
    if soft in (resource.RLIM_INFINITY, -1) or soft >= needed:
        yield ok("open files", shown)
        return
    room = max(0, soft - OTHER_FILES)
    found = f"{shown}: room for {room:,} connections, of the {CONNECTIONS:,} that are let in"
    reachable = hard in (resource.RLIM_INFINITY, -1) or hard >= needed
    mend = f"ulimit -n {needed}" if reachable else f"raise the hard limit, now {hard:,}"
    tell = fail if room * 10 < CONNECTIONS else warn
    yield tell("open files", found, f"{mend}; systemd: LimitNOFILE=, compose: ulimits")


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
