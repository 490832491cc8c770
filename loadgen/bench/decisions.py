"""`python -m loadgen.bench.decisions`: what the decision log costs, and that it has all decisions.

Two services with the same settings run side by side and are measured in turn; one of them requires
the log. At a fixed rate their latencies are compared, at full load their requests a second. Then
rows are scored in arrays until the log has `--decisions`, while the sink takes them in. In the end
the requests that the service counted, the entries of the log and the rows of its Parquet files must
be as many, each once.

Exit codes: 0 held, 1 the latency exceeds `--limit` or decisions are missing, 2 something lacks.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Final, NamedTuple

from loadgen.bench import wrk
from loadgen.bench.latency import latency
from loadgen.common import client, machine, processes, rows, service
from loadgen.common.errors import CannotStart
from loadgen.common.options import MODEL, ROOT, ROWS, positive
from loadgen.common.service import Server

_COMMAND: Final = (sys.executable, "-m", "service.decisions")
_ARRAY_ROWS: Final = 400
_CONNECTIONS: Final = 16
_FILLING: Final = 4
_LOOK_SECONDS: Final = 0.5
_SCORED: Final = re.compile(r'^scoring_rows_total{result="scored"} (\S+)$', re.MULTILINE)
_DECISIONS: Final = re.compile(r"^ *(\d+)  decision ", re.MULTILINE)


class Turn(NamedTuple):
    """Latencies in ms at the fixed rate, and requests a second at full load."""

    p50: float
    p99: float
    rate: float


class Filled(NamedTuple):
    """A log that was filled: what was counted where, and what it took."""

    scored: int
    logged: int
    analysed: int
    scored_a_second: float
    shipped_a_second: float
    bytes_each: float

    @property
    def is_whole(self) -> bool:
        """Whether each row that was scored is there once."""
        return self.scored == self.logged == self.analysed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says. Returns the exit code."""
    options = _options(arguments)
    sample = rows.read(ROWS)
    body = rows.singles(sample[:1])[0]
    try:
        wrk.require()
        with tempfile.TemporaryDirectory(prefix="decisions-") as folder, ExitStack() as started:
            log = Path(folder) / "log"
            kept = {"SCORING_DECISIONS": "required", "SCORING_DECISIONS_DIR": str(log)}
            without = started.enter_context(service.running(MODEL, options.workers, body))
            within = started.enter_context(service.running(MODEL, options.workers, body, kept))
            bench = DecisionBench(sample, Path(folder), options)
            turns = [(bench.turn(without), bench.turn(within)) for _ in range(options.rounds)]
            filled = bench.fill(within, log)
    except (CannotStart, OSError) as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    plain, logged = (_medians(each) for each in zip(*turns, strict=True))
    sys.stdout.write(_report(plain, logged, filled, options))
    return int(logged.p99 / plain.p99 > options.limit or not filled.is_whole)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.bench.decisions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rate", type=positive, default=500, metavar="N", help="requests a second [500]")
    add("--seconds", type=positive, default=8, metavar="N", help="of each measurement [8]")
    add("--rounds", type=positive, default=5, metavar="N", help="of both in turn [5]")
    add("--decisions", type=positive, default=1_000_000, metavar="N", help="in all [1000000]")
    add("--workers", type=positive, default=2, metavar="N", help="of each service [2]")
    add("--limit", type=float, default=1.1, metavar="N",
        help="greatest ratio of p99 with the log to p99 without [1.1]")  # fmt: skip
    return parser.parse_args(arguments)


class DecisionBench:
    """The measurements on services with and without the log."""

    def __init__(
        self, sample: Sequence[rows.Row], folder: Path, options: argparse.Namespace
    ) -> None:
        self._options = options
        singles = rows.singles(sample)
        self._requests = [client.raw("POST", "/reg/", service.KEY, body) for body in singles]
        self._singles = wrk.write_bodies(singles, folder / "singles")
        self._arrays = wrk.write_bodies(rows.arrays(sample, _ARRAY_ROWS), folder / "arrays")

    def turn(self, server: Server) -> Turn:
        """One measurement of each kind. Raises CannotStart."""
        options = self._options
        p50, p99 = latency(server.port, self._requests, options.rate, options.seconds)
        load = wrk.run(server.port, self._singles, _CONNECTIONS, options.seconds)
        if load.errors:
            raise CannotStart(f"{load.errors} requests were not scored")
        return Turn(p50, p99, load.requests / load.seconds)

    def fill(self, server: Server, log: Path) -> Filled:
        """Score until the log is to have enough, with the sink at work. Raises CannotStart."""
        with _sinking(log):
            before, began = _scored(server), perf_counter()
            while _scored(server) < self._options.decisions:
                # Some may be rejected while the sink is behind: those are not scored.
                wrk.run(server.port, self._arrays, _FILLING, 2)
            loaded, scored = perf_counter() - began, _scored(server)
            # What is in open segments counts too: the rest of their bytes comes with the end.
            _wait(lambda: _logged(log) >= scored, "the log has all")
            shipped = perf_counter() - began
            _wait(lambda: _analysed(log) >= scored, "the Parquet files have all")
        files = (path for path in log.rglob("*") if path.is_file() and path.parent.name != "spool")
        size = sum(path.stat().st_size for path in files)
        return Filled(
            scored, _logged(log), _analysed(log),
            (scored - before) / loaded, scored / shipped, size / scored,
        )  # fmt: skip


@contextmanager
def _sinking(log: Path) -> Iterator[None]:
    settings = {"SCORING_DECISIONS_DIR": str(log)}
    ready = (log / "log.sqlite").exists
    with processes.running((*_COMMAND, "sink"), log.parent / "sink.log", ready, settings):
        yield


def _scored(server: Server) -> int:
    return int(sum(map(float, _SCORED.findall(service.metrics(server.port)))))


def _logged(log: Path) -> int:
    """The decisions in the log."""
    return sum(map(int, _DECISIONS.findall(_asked(log, "stats"))))


def _analysed(log: Path) -> int:
    """The different decisions in the Parquet files; -1 if one is there twice."""
    sql = "SELECT count(*), count(DISTINCT (request_id, row)) FROM decisions"
    rows, different = map(int, _asked(log, "query", "--form", "csv", sql).split()[-1].split(","))
    return rows if rows == different else -1


def _asked(log: Path, *command: str) -> str:
    done = subprocess.run(
        [*_COMMAND, *command],
        env=processes.environment({"SCORING_DECISIONS_DIR": str(log)}),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CannotStart(f"service.decisions {command[0]}: {done.stderr.strip()}")
    return done.stdout


def _wait(holds: Callable[[], bool], what: str, seconds: float = 600.0) -> None:
    until = perf_counter() + seconds
    while not holds():
        if perf_counter() > until:
            raise CannotStart(f"it did not happen that {what}")
        sleep(_LOOK_SECONDS)


def _medians(turns: Sequence[Turn]) -> Turn:
    return Turn(*map(median, zip(*turns, strict=True)))


def _line(turn: Turn) -> str:
    return f"p50 {turn.p50:.2f} ms, p99 {turn.p99:.2f} ms; at full load {turn.rate:,.0f} requests/s"


def _report(plain: Turn, logged: Turn, filled: Filled, options: argparse.Namespace) -> str:
    cost = (1 / logged.rate - 1 / plain.rate) * options.workers * 1e6
    lines = [
        machine.summary(machine.describe()),
        f"POST /reg/ at {options.rate} requests a second; medians of {options.rounds} rounds:",
        f"  without the log: {_line(plain)}",
        f"  with the log:    {_line(logged)}",
        f"  p99 with the log / p99 without: {logged.p99 / plain.p99:.2f}",
        f"  at full load a row costs {cost:.1f} us of a worker's time more",
        f"{filled.scored:,} decisions, with the sink at work:",
        f"  scored in arrays: {filled.scored_a_second:,.0f} rows/s",
        f"  taken into the log: {filled.shipped_a_second:,.0f} rows/s",
        f"  {filled.bytes_each:,.0f} bytes each, in all files of the log",
        f"  counted by the service: {filled.scored:,}",
        f"  in the log: {filled.logged:,}; in the Parquet files: {filled.analysed:,}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
