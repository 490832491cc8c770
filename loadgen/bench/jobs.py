"""`python -m loadgen.bench.jobs`: what `POST /reg/` feels of busy job workers, and what jobs cost.

Each round measures the latency of POST /reg/ at a fixed rate three times: while the job workers are
idle, while each of them has a job all the time, and beside as many programs of their niceness that
only count, which is what the machine's scheduler costs. The rows of one file are then scored as a
job from the file, as a job from an array, and by arrays over HTTP.

Exit codes: 0 held, 1 the latency beside jobs exceeds `--limit`, 2 something is missing.
"""

import argparse
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from io import BytesIO
from itertools import cycle, islice
from statistics import median
from threading import Event
from time import perf_counter, sleep
from typing import Final, NamedTuple, TypeVar

from client import Job as JobView
from client import JobClient, Refused, Unreachable
from loadgen.bench.counting import counting
from loadgen.bench.latency import latency
from loadgen.common import client, machine, rows, service
from loadgen.common.errors import CannotStart
from loadgen.common.options import MODEL, ROWS, positive
from loadgen.common.service import Server

# Rows of an array over HTTP.
_ARRAY_ROWS: Final = 400
# More jobs than workers, so that the next one waits when one ends.
_WAITING: Final = 2
_LOOK_SECONDS: Final = 0.25
_MOST_WAYS: Final = 3

Figures = TypeVar("Figures", bound="Beside | Ways")


class Beside(NamedTuple):
    """Latencies of POST /reg/ in ms, and the rows a second that jobs scored meanwhile."""

    p50: float
    p99: float
    rows: float = 0.0


class Ways(NamedTuple):
    """Rows a second of the same rows in each way."""

    table: float
    array: float
    http: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says. Returns the exit code."""
    options = _options(arguments)
    sample = rows.read(ROWS)
    body = rows.singles(sample[:1])[0]
    more = {"SCORING_JOB_WORKERS": str(options.job_workers)}
    try:
        with ExitStack() as started:
            server = started.enter_context(service.running(MODEL, options.workers, body))
            web = started.enter_context(service.doing_jobs(MODEL, 1, body, more))
            bench = JobBench(server, web, sample, options)
            rounds = [bench.beside() for _ in range(options.rounds)]
            ways = [bench.ways() for _ in range(min(_MOST_WAYS, options.rounds))]
    except (CannotStart, Refused, Unreachable, OSError) as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    alone, busy, scheduled = map(_medians, zip(*rounds, strict=True))
    sys.stdout.write(_report(alone, busy, scheduled, _medians(ways), options))
    return int(busy.p99 / alone.p99 > options.limit)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.bench.jobs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, cores = parser.add_argument, os.cpu_count() or 1
    add("--rate", type=positive, default=300, metavar="N", help="requests a second [300]")
    add("--seconds", type=positive, default=10, metavar="N", help="of each measurement [10]")
    add("--rounds", type=positive, default=5, metavar="N", help="of both in turn [5]")
    add("--rows-wanted", type=positive, default=100_000, metavar="N", help="of a job [100000]")
    add("--workers", type=positive, default=2, metavar="N", help="of the service [2]")
    add("--job-workers", type=positive, default=cores, metavar="N", help="[one for each core]")
    add("--limit", type=float, default=1.5, metavar="N",
        help="greatest ratio of p99 beside jobs to p99 alone [1.5]")  # fmt: skip
    return parser.parse_args(arguments)


class JobBench:
    """The measurements, on a service and web processes with their job worker."""

    def __init__(
        self, server: Server, web: Server, sample: Sequence[rows.Row], options: argparse.Namespace
    ) -> None:
        self._options = options
        self._rows: int = options.rows_wanted
        self._port = server.port
        self._jobs = JobClient(service.KEY, f"http://127.0.0.1:{web.port}")
        singles = rows.singles(sample)
        self._requests = [client.raw("POST", "/reg/", service.KEY, body) for body in singles]
        self._table = next(rows.tables(sample, self._rows))
        # What is measured is busy workers, not uploads: the rows repeat, and pack well.
        self._packed = gzip.compress(self._table, 1)
        self._array = json.loads(rows.arrays(sample, self._rows)[0])
        self._arrays = rows.arrays(sample, _ARRAY_ROWS)

    def beside(self) -> tuple[Beside, Beside, Beside]:
        """The latency alone, beside jobs, and beside programs that count.

        Raises CannotStart, Refused, Unreachable.
        """
        alone = self._latency()
        with self._saturated():
            before, began = self._rows_done(), perf_counter()
            beside = self._latency()
            rate = (self._rows_done() - before) / (perf_counter() - began)
        with counting(self._options.job_workers):
            scheduled = self._latency()
        return alone, beside._replace(rows=rate), scheduled

    def ways(self) -> Ways:
        """Rows a second in each way. Raises CannotStart, Refused, Unreachable."""
        return Ways(
            table=self._rate(lambda: self._finish(self._submit())),
            array=self._rate(lambda: self._finish(self._jobs.submit(self._array))),
            http=self._rate(self._over_http),
        )

    def _latency(self) -> Beside:
        return Beside(
            *latency(self._port, self._requests, self._options.rate, self._options.seconds)
        )

    @contextmanager
    def _saturated(self) -> Iterator[None]:
        """More unfinished jobs than workers at any time, of which some have begun."""
        is_over = Event()
        before = self._rows_done()
        with ThreadPoolExecutor(1) as threads:
            feeding = threads.submit(self._feed, is_over)
            try:
                while self._rows_done() == before and not feeding.done():
                    sleep(_LOOK_SECONDS)
                yield
            finally:
                is_over.set()
                feeding.result()
        for job in self._unfinished():
            with suppress(Refused):  # it has ended meanwhile
                self._jobs.cancel(job.id)
        while self._unfinished():
            sleep(_LOOK_SECONDS)

    def _feed(self, is_over: Event) -> None:
        wanted = self._options.job_workers + _WAITING
        while not is_over.wait(_LOOK_SECONDS):
            for _ in range(wanted - len(self._unfinished())):
                self._jobs.submit_file(BytesIO(self._packed), "bench.csv.gz")

    def _submit(self) -> JobView:
        return self._jobs.submit_file(BytesIO(self._table), "bench.csv")

    def _finish(self, job: JobView) -> None:
        if (ended := self._jobs.wait(job.id)).state != "succeeded":
            raise CannotStart(f"A job ended as {ended.state}: {ended.error}")

    def _unfinished(self) -> list[JobView]:
        return [job for job in self._jobs.jobs() if not job.has_ended]

    def _rows_done(self) -> int:
        return sum(job.done for job in self._jobs.jobs())

    def _over_http(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port)
        headers = {"Content-Type": "application/json", "x-api-key": service.KEY}
        with closing(connection):
            for body in islice(cycle(self._arrays), -(-self._rows // _ARRAY_ROWS)):
                connection.request("POST", "/reg/", body, headers)
                reply = connection.getresponse()
                reply.read()
                if reply.status != 200:
                    raise CannotStart(f"An array was answered with {reply.status}")

    def _rate(self, score: Callable[[], object]) -> float:
        began = perf_counter()
        score()
        return self._rows / (perf_counter() - began)


def _line(beside: Beside) -> str:
    jobs = f", jobs {beside.rows:,.0f} rows/s" if beside.rows else ""
    return f"p50 {beside.p50:.1f} ms, p99 {beside.p99:.1f} ms{jobs}"


def _medians(rounds: Sequence[Figures]) -> Figures:
    return type(rounds[0])(*map(median, zip(*rounds, strict=True)))


def _report(
    alone: Beside, busy: Beside, scheduled: Beside, ways: Ways, options: argparse.Namespace
) -> str:
    lines = [
        machine.summary(machine.describe()),
        f"POST /reg/ at {options.rate} requests a second; medians of {options.rounds} rounds:",
        f"  alone:       {_line(alone)}",
        f"  beside jobs: {_line(busy)}",
        f"  beside programs that count: {_line(scheduled)}",
        f"  p99 beside jobs / p99 alone: {busy.p99 / alone.p99:.2f}",
        f"  p99 beside jobs / p99 beside programs that count: {busy.p99 / scheduled.p99:.2f}",
        f"{options.rows_wanted:,} rows, one caller, nothing else going on:",
        f"  job from a file:       {ways.table:8,.0f} rows/s",
        f"  job from an array:     {ways.array:8,.0f} rows/s",
        f"  HTTP, arrays of {_ARRAY_ROWS}:   {ways.http:8,.0f} rows/s",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
