"""`python -m loadgen.attacks`: attack the service, one way after the other, and see who feels it.

Exit code 1 if an attack made a probe slower than --probe-ms, the worker greater than --memory-mib,
or left a caller without a score or 429; 2 if nothing could be measured.
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

from loadgen.attacks.attackers import ATTACKS, Aim
from loadgen.common import machine, rows, service
from loadgen.common.errors import CannotStart
from loadgen.common.options import MODEL, ROOT, ROWS
from loadgen.common.service import KEY, Server

_CALLERS: Final = 4
_CALLS_A_SECOND: Final = 100.0
_PROBES_A_SECOND: Final = 20.0
_PATIENCE: Final = 60.0
_MIB: Final = 1 << 20
_SCORED: Final = 200


class Felt(NamedTuple):
    """What others felt: slowest probe, median and p99 of scores in ms, statuses, memory in MiB."""

    probe: float
    p50: float
    p99: float
    statuses: dict[str, int]
    memory: float


def main(given: Sequence[str] | None = None) -> int:
    """Attack, print a table. Returns the exit status."""
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
    add("--probe-ms", type=float, default=100.0, help="the slowest probe that is borne [100]")
    add("--memory-mib", type=float, default=500.0, help="the most memory of the worker [500]")
    add("--model", type=Path, default=MODEL, help="the .cbm file to serve")
    add("--rows", type=Path, default=ROWS, help="CSV of requests")
    return parser


def _attack_all(names: list[str], arguments: Namespace) -> int:
    (row,) = rows.singles(rows.read(arguments.rows)[:1])
    sys.stdout.write(f"{machine.in_words(machine.describe())}\n\n{_HEAD}")
    held = True
    with service.running(arguments.model.resolve(), 1, row) as server:
        aim = Aim(server.port, KEY, row)
        alone = asyncio.run(_feel(server, aim, arguments.seconds))
        sys.stdout.write(_line("alone", alone, ""))
        for name in names:
            felt = _under(name, server, aim, arguments.seconds)
            word = _judged(felt, arguments)
            held = held and not word
            sys.stdout.write(_line(name, felt, word))
            sys.stdout.flush()
    return 0 if held else 1


_HEAD: Final = (
    f"{'attack':16} {'slowest probe':>14} {'score p50':>10} "
    f"{'p99, ms':>9} {'memory':>10}  statuses\n"
)


def _line(name: str, felt: Felt, word: str) -> str:
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(felt.statuses.items()))
    return (
        f"{name:16} {felt.probe:11.1f} ms {felt.p50:10.1f} {felt.p99:9.1f} {felt.memory:6.0f} MiB"
        f"  {statuses}{word}\n"
    )


def _judged(felt: Felt, arguments: Namespace) -> str:
    if felt.probe > arguments.probe_ms:
        return "  FAILED: a probe was too slow"
    if felt.memory > arguments.memory_mib:
        return "  FAILED: too much memory"
    lost = felt.statuses.keys() - {"200", "429"}
    return f"  FAILED: {', '.join(sorted(lost))}" if lost else ""


def _under(name: str, server: Server, aim: Aim, seconds: float) -> Felt:
    """What is felt while a process attacks."""
    command = [sys.executable, "-m", "loadgen.attacks.attackers"]
    with subprocess.Popen(
        [*command, name, str(aim.port), str(seconds + 1)], stdin=subprocess.PIPE, cwd=ROOT
    ) as process:
        try:
            assert process.stdin  # noqa: S101 - it is piped
            process.stdin.write(f"{aim.key}\n".encode() + aim.row)
            process.stdin.close()
            return asyncio.run(_feel(server, aim, seconds))
        finally:
            process.kill()


async def _feel(server: Server, aim: Aim, seconds: float) -> Felt:
    """Probe on new connections and call on kept ones, at fixed times."""
    probes: list[float] = []
    scores: list[float] = []
    statuses: Counter[str] = Counter()
    memory = 0.0
    end = monotonic() + seconds
    callers = [_call(aim, number, end, scores, statuses) for number in range(_CALLERS)]
    calls = asyncio.gather(_probe(aim, end, probes), *callers)
    while not calls.done():
        memory = max(memory, _memory(server))
        await asyncio.wait([calls], timeout=0.1)
    await calls
    scores.sort()
    last = len(scores) - 1
    middle, late = (scores[int(share * last)] if scores else 0.0 for share in (0.5, 0.99))
    return Felt(max(probes, default=0.0), middle, late, dict(statuses), memory)


def _memory(server: Server) -> float:
    with suppress(psutil.Error):
        workers = psutil.Process(server.pid).children()
        resident: float = max((worker.memory_info().rss for worker in workers), default=0)
        return resident / _MIB
    return 0.0


async def _probe(aim: Aim, end: float, probes: list[float]) -> None:
    due = monotonic()
    while due < end:
        await asyncio.sleep(max(0.0, due - monotonic()))
        began = monotonic()
        with suppress(OSError):
            reader, writer = await aim.connect()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), _PATIENCE)
            writer.close()
        probes.append((monotonic() - began) * 1e3)
        due = max(due + 1 / _PROBES_A_SECOND, monotonic())


async def _call(
    aim: Aim, number: int, end: float, scores: list[float], statuses: Counter[str]
) -> None:
    request, step = aim.request(aim.row), _CALLERS / _CALLS_A_SECOND
    due = monotonic() + number / _CALLS_A_SECOND
    opened: tuple[StreamReader, StreamWriter] | None = None
    while due < end:
        await asyncio.sleep(max(0.0, due - monotonic()))
        began = monotonic()
        try:
            opened = opened or await aim.connect()
            status = await asyncio.wait_for(_status(*opened, request), _PATIENCE)
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
