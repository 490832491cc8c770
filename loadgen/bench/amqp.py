"""`python -m loadgen.bench.amqp BROKER`: requests over AMQP beside the same requests over HTTP.

Callers send one request after the other, each as soon as the last one is answered. All of them are
threads of one Python process, over HTTP as over AMQP, so that the difference is the way and not the
caller. Each reply of a round is compared with those of the first. It needs a running RabbitMQ.

Exit codes: 0 measured, 1 the replies differ, 2 something is missing.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, NamedTuple

from client.amqp import AmqpClient
from loadgen.common import machine, processes, rows, service
from loadgen.common.errors import CannotStart, WrongAnswers
from loadgen.common.options import MODEL, ROWS, positive

_TIMEOUT: Final = 20.0
_BODIES: Final = 1000

# Sends a body and returns the body of the reply.
Call = Callable[[bytes], bytes]


class Figures(NamedTuple):
    """Requests a second, and percentiles of a call in milliseconds."""

    rate: float
    p50: float
    p99: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says. Returns the exit code."""
    options = _options(arguments)
    bodies = rows.singles(rows.read(ROWS))[:_BODIES]
    try:
        with ExitStack() as started:
            server = started.enter_context(service.running(MODEL, options.workers, bodies[0]))
            started.enter_context(_workers(options.broker, options.workers))
            client = started.enter_context(AmqpClient(options.broker))
            ways = {
                "HTTP": lambda: _over_http(server.port),
                "AMQP": lambda: _over_amqp(client),
            }
            figures = _measured(ways, bodies, options)
    except CannotStart as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    except WrongAnswers as error:
        sys.stderr.write(f"Not measured: the replies differ. {error}\n")
        return 1
    sys.stdout.write(_report(figures, options))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.bench.amqp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("broker", help="amqp://USER:PASSWORD@HOST:PORT/VHOST")
    add("--callers", type=positive, default=100, metavar="N", help="at once [100]")
    add("--seconds", type=positive, default=5, metavar="N", help="of each round [5]")
    add("--rounds", type=positive, default=3, metavar="N", help="of both ways in turn [3]")
    add("--workers", type=positive, default=1, metavar="N", help="processes of each way [1]")
    return parser.parse_args(arguments)


@contextmanager
def _workers(broker: str, workers: int) -> Iterator[None]:
    """The processes that answer over AMQP."""
    port = processes.free_port()
    settings = {
        "SCORING_BROKER": broker,
        "SCORING_WORKERS": str(workers),
        "SCORING_MODEL": str(MODEL),
        "SCORING_WORKER_METRICS_BIND": f"127.0.0.1:{port}",
        "SCORING_METRICS_TOKEN": service.METRICS_TOKEN,
    }
    with TemporaryDirectory(prefix="amqp-") as folder:
        ready = lambda: processes.responds(f"http://127.0.0.1:{port}/readyz")  # noqa: E731
        command = (sys.executable, "-m", "service.amqp")
        with processes.running(command, Path(folder) / "log", ready, settings):
            yield


def _over_http(port: int) -> Call:
    """A caller with a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    headers = {"Content-Type": "application/json", "x-api-key": service.KEY}

    def call(body: bytes) -> bytes:
        connection.request("POST", "/reg/", body, headers)
        return connection.getresponse().read()

    return call


def _over_amqp(client: AmqpClient) -> Call:
    """A caller of the one client that a process has."""
    return lambda body: client.call("regno", body, timeout=_TIMEOUT).body


def _measured(
    ways: dict[str, Callable[[], Call]], bodies: Sequence[bytes], options: argparse.Namespace
) -> dict[str, list[Figures]]:
    figures: dict[str, list[Figures]] = {way: [] for way in ways}
    expected = [*map(ways["HTTP"](), bodies)]
    for number in range(options.rounds):
        for way, connect in ways.items():
            measured = _round(connect, bodies, expected, options)
            figures[way].append(measured)
            sys.stderr.write(f"round {number + 1}, {way}: {_line(measured)}\n")
    return figures


def _round(
    connect: Callable[[], Call],
    bodies: Sequence[bytes],
    expected: Sequence[bytes],
    options: argparse.Namespace,
) -> Figures:
    """One round. Raises WrongAnswers."""

    def run(caller: int) -> list[float]:
        call, times, place = connect(), [], 7 * caller
        began = perf_counter()
        while began < latest:
            place = (place + 1) % len(bodies)
            reply = call(bodies[place])
            ended = perf_counter()
            times.append(ended - began)
            began = ended
            if reply != expected[place]:
                raise WrongAnswers(f"request {place}: {reply!r}")
        return times

    latest = perf_counter() + options.seconds
    with ThreadPoolExecutor(options.callers) as threads:
        times = sorted(time for each in threads.map(run, range(options.callers)) for time in each)
    p50, p99 = (times[int(share * (len(times) - 1))] * 1e3 for share in (0.5, 0.99))
    return Figures(len(times) / options.seconds, p50, p99)


def _line(figures: Figures) -> str:
    return f"{figures.rate:6.0f} requests/s, p50 {figures.p50:5.1f} ms, p99 {figures.p99:5.1f} ms"


def _report(figures: dict[str, list[Figures]], options: argparse.Namespace) -> str:
    medians = {
        way: Figures(*(median(column) for column in zip(*each, strict=True)))
        for way, each in figures.items()
    }
    pairs = zip(figures["AMQP"], figures["HTTP"], strict=True)
    ratio = median(amqp.p99 / http.p99 for amqp, http in pairs)
    lines = [
        machine.summary(machine.describe()),
        f"{options.callers} callers, {options.workers} worker(s); medians of {options.rounds}:",
        *(f"{way}: {_line(each)}" for way, each in medians.items()),
        f"p99 of AMQP / p99 of HTTP: {ratio:.2f}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
