"""`python -m loadgen.attacks`: attack the service, and measure what other clients notice.

Exit code 1 if an attack made a probe slower than --probe-ms, the worker larger than --memory-mib,
or left a caller without a score or 429; 2 if the service does not start.
"""

import argparse
import asyncio
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

import psutil

from loadgen.attacks.attackers import ATTACKS, AttackTarget
from loadgen.common import machine, rows, service
from loadgen.common.errors import CannotStart
from loadgen.common.options import MODEL, ROOT, ROWS
from loadgen.common.service import KEY, Server

_CALLERS: Final = 4
_CALLS_A_SECOND: Final = 100.0
_PROBES_A_SECOND: Final = 20.0
_TIMEOUT: Final = 60.0
_MIB: Final = 1 << 20
_SCORED: Final = 200


class Impact(NamedTuple):
    """Slowest probe, median and p99 of scores in ms; replies by status; memory in MiB."""

    probe: float
    p50: float
    p99: float
    statuses: dict[str, int]
    memory: float


def main(given: Sequence[str] | None = None) -> int:
    """Run the attacks, print a table. Returns the exit code."""
    arguments = _parser().parse_args(given)
    names = arguments.attacks.split(",") if arguments.attacks else list(ATTACKS)
    try:
        return _attack_all(names, arguments)
    except CannotStart as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2


def _parser() -> ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadgen.attacks", description=__doc__)
    add = parser.add_argument
    add("--attacks", default="", metavar="NAME,NAME", help=f"of {', '.join(ATTACKS)} [all]")
    add("--seconds", type=float, default=6.0, help="length of each attack [6]")
    add("--probe-ms", type=float, default=100.0, help="limit of the slowest probe [100]")
    add("--memory-mib", type=float, default=500.0, help="limit of the worker's memory [500]")
    add("--model", type=Path, default=MODEL, help="the .cbm file to serve")
    add("--rows", type=Path, default=ROWS, help="CSV of requests")
    return parser


def _attack_all(names: list[str], arguments: Namespace) -> int:
    (row,) = rows.singles(rows.read(arguments.rows)[:1])
    sys.stdout.write(f"{machine.summary(machine.describe())}\n\n{_HEAD}")
    held = True
    with service.running(arguments.model.resolve(), 1, row) as server:
        target = AttackTarget(server.port, KEY, row)
        alone = asyncio.run(_measure(server, target, arguments.seconds))
        sys.stdout.write(_line("alone", alone, ""))
        for name in names:
            impact = _under(name, server, target, arguments.seconds)
            violation = _violation(impact, arguments)
            held = held and not violation
            sys.stdout.write(_line(name, impact, violation))
            sys.stdout.flush()
    return 0 if held else 1


_HEAD: Final = (
    f"{'attack':16} {'slowest probe':>14} {'score p50':>10} "
    f"{'p99, ms':>9} {'memory':>10}  statuses\n"
)


def _line(name: str, impact: Impact, violation: str) -> str:
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(impact.statuses.items()))
    times = f"{impact.probe:11.1f} ms {impact.p50:10.1f} {impact.p99:9.1f}"
    return f"{name:16} {times} {impact.memory:6.0f} MiB  {statuses}{violation}\n"


def _violation(impact: Impact, arguments: Namespace) -> str:
    if impact.probe > arguments.probe_ms:
        return "  FAILED: a probe was too slow"
    if impact.memory > arguments.memory_mib:
        return "  FAILED: too much memory"
    lost = impact.statuses.keys() - {"200", "429"}
    return f"  FAILED: {', '.join(sorted(lost))}" if lost else ""


def _under(name: str, server: Server, target: AttackTarget, seconds: float) -> Impact:
    """The impact of an attack by a separate process."""
    command = [sys.executable, "-m", "loadgen.attacks.attackers"]
    with subprocess.Popen(
        [*command, name, str(target.port), str(seconds + 1)], stdin=subprocess.PIPE, cwd=ROOT
    ) as process:
        try:
            assert process.stdin  # noqa: S101 - it is piped
            process.stdin.write(f"{target.key}\n".encode() + target.row)
            process.stdin.close()
            return asyncio.run(_measure(server, target, seconds))
        finally:
            process.kill()


async def _measure(server: Server, target: AttackTarget, seconds: float) -> Impact:
    """Send probes on new connections and scores on kept ones, at fixed times."""
    probes: list[float] = []
    scores: list[float] = []
    statuses: Counter[str] = Counter()
    memory = 0.0
    end = monotonic() + seconds
    callers = [_call(target, number, end, scores, statuses) for number in range(_CALLERS)]
    calls = asyncio.gather(_probe(target, end, probes), *callers)
    while not calls.done():
        memory = max(memory, _memory(server))
        await asyncio.wait([calls], timeout=0.1)
    await calls
    scores.sort()
    last = len(scores) - 1
    middle, late = (scores[int(share * last)] if scores else 0.0 for share in (0.5, 0.99))
    return Impact(max(probes, default=0.0), middle, late, dict(statuses), memory)


def _memory(server: Server) -> float:
    with suppress(psutil.Error):
        workers = psutil.Process(server.pid).children()
        resident: float = max((worker.memory_info().rss for worker in workers), default=0)
        return resident / _MIB
    return 0.0


async def _probe(target: AttackTarget, end: float, probes: list[float]) -> None:
    due = monotonic()
    while due < end:
        await asyncio.sleep(max(0.0, due - monotonic()))
        began = monotonic()
        with suppress(OSError):
            reader, writer = await target.connect()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), _TIMEOUT)
            writer.close()
        probes.append((monotonic() - began) * 1e3)
        due = max(due + 1 / _PROBES_A_SECOND, monotonic())


async def _call(
    target: AttackTarget, number: int, end: float, scores: list[float], statuses: Counter[str]
) -> None:
    request, step = target.request(target.row), _CALLERS / _CALLS_A_SECOND
    due = monotonic() + number / _CALLS_A_SECOND
    opened: tuple[StreamReader, StreamWriter] | None = None
    while due < end:
        await asyncio.sleep(max(0.0, due - monotonic()))
        began = monotonic()
        try:
            opened = opened or await target.connect()
            status = await asyncio.wait_for(_status(*opened, request), _TIMEOUT)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            status, opened = type(error).__name__, None
        statuses[status] += 1
        if status == str(_SCORED):
            scores.append((monotonic() - began) * 1e3)
        due = max(due + step, monotonic())
    if opened:
        opened[1].close()


async def _status(reader: StreamReader, writer: StreamWriter, request: bytes) -> str:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head[9:12].decode()


if __name__ == "__main__":
    sys.exit(main())
