"""One measurement: a target under one kind of load, and its cost."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from loadgen.bench import wrk
from loadgen.common import usage
from loadgen.common.errors import CannotStart
from loadgen.common.options import ROOT
from loadgen.common.service import Server

# Named like a target: a process that scores arrays without a server.
COLUMNS: Final = "columns"
# The target that arrays are sent to.
BULK_TARGET: Final = "service"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One target under one load in one round.

    `workers` are its processes. `rows` are those of one request, more than one in arrays. `rps` are
    requests per second. `cpu_s_per_1000` is the user and system time of all its processes for
    1,000 requests, `busiest` the share of one process in it, 0 to 1: a half if two workers get
    the same work. `others` are the cores that other programs than the target and wrk kept busy: the
    noise of the measurement.
    """

    round: int
    workers: int
    target: str
    connections: int
    rows: int
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_s_per_1000: float
    busiest: float
    others: float
    rss_mib: float
    pss_mib: float


class Task(NamedTuple):
    """A load: bodies of `rows` rows each from a file, for whole seconds."""

    round: int
    workers: int
    bodies: Path
    rows: int
    connections: int
    seconds: int


def measure(server: Server, task: Task) -> Measurement:
    """Load a target and measure its rate and its cost; it is idle afterwards."""
    noise, before = _other_cpu(), usage.cpu_by_process(server.pid)
    load = wrk.run(server.port, task.bodies, task.connections, task.seconds)
    noise, after = _other_cpu() - noise, usage.cpu_by_process(server.pid)
    memory = usage.memory(server.pid)
    spent = sum(after.values()) - sum(before.values())
    usage.settle(server.pid)
    return Measurement(
        round=task.round,
        workers=task.workers,
        target=server.name,
        connections=task.connections,
        rows=task.rows,
        rps=load.requests / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        errors=load.errors,
        cpu_s_per_1000=spent / max(load.requests, 1) * 1000,
        busiest=usage.busiest_share(before, after),
        others=max(0.0, noise - spent) / load.seconds,
        rss_mib=memory.rss,
        pss_mib=memory.pss,
    )


def without_server(model: Path, task: Task) -> Measurement:
    """The same arrays in one process, without HTTP."""
    arguments = str(model), str(task.bodies), str(task.seconds)
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.bench.limits.columns", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # noqa: TID251 - handed on
    )
    if done.returncode:
        raise CannotStart(f"{COLUMNS} failed: {done.stderr.strip()}")
    counts = json.loads(done.stdout)
    return Measurement(
        round=task.round,
        workers=task.workers,
        target=COLUMNS,
        connections=task.connections,
        rows=task.rows,
        rps=counts["arrays"] / counts["seconds"],
        p50_ms=counts["seconds"] / counts["arrays"] * 1e3,
        p99_ms=0.0,
        errors=0,
        cpu_s_per_1000=counts["cpu"] / counts["arrays"] * 1e3,
        busiest=1.0,
        others=0.0,
        rss_mib=0.0,
        pss_mib=0.0,
    )


def _other_cpu() -> float:
    return usage.cpu_of_all() - usage.cpu_of_ended_children()
