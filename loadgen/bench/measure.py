"""One measurement: a target under one kind of load, and what that cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from loadgen.bench import usage, wrk
from loadgen.bench.server import Server, settle


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One target under one load in one round.

    `rows` are those of one request: more than one on the bulk road. `rps` are requests a
    second; `cpu_s_per_1000` is user and system time of all its processes for 1,000 requests;
    `busiest` is the share of it that one process took, 0 to 1: with two workers that get the
    same work, a half. `others` are the cores that programs other than the target and wrk kept
    busy meanwhile: the noise in which it was measured.
    """

    round: int
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
    """A load to measure: bodies of `rows` rows each from a file, for whole seconds."""

    round: int
    bodies: Path
    rows: int
    connections: int
    seconds: int


def measure(server: Server, task: Task) -> Measurement:
    """Load a target, count what it did and what it used for that, and leave it idle."""
    noise, before = _not_the_targets(), usage.cpu_by_process(server.pid)
    load = wrk.run(server.port, task.bodies, task.connections, task.seconds)
    noise, after = _not_the_targets() - noise, usage.cpu_by_process(server.pid)
    memory = usage.memory(server.pid)
    spent = sum(after.values()) - sum(before.values())
    settle(server.pid)
    return Measurement(
        round=task.round,
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


def _not_the_targets() -> float:
    return usage.cpu_of_all() - usage.cpu_of_ended_children()
