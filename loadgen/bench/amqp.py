"""`python -m loadgen.bench.amqp BROKER`: requests over AMQP beside the same requests over HTTP.

Callers send one request after the other, each as soon as the last one is answered. All of them are
threads of one Python process, over HTTP as over AMQP, so that the difference is the way and not the
caller. Each reply of a round is compared with those of the first. It needs a running RabbitMQ.

Exit codes: 0 measured, 1 the replies differ, 2 something is missing.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from statistics import median
from typing import Final, NamedTuple

from client.amqp import AmqpClient
from loadgen.bench.callers import Call, Connect, Work, at_full_speed, lasting, percentile
from loadgen.common import machine, rows, service
from loadgen.common.errors import CannotStart, WrongAnswers
from loadgen.common.options import MODEL, ROWS, positive

_TIMEOUT: Final = 20.0
_BODIES: Final = 1000


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
            started.enter_context(
                service.over_amqp(options.broker, options.workers, {"SCORING_MODEL": str(MODEL)})
            )
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
    ways: dict[str, Connect], bodies: Sequence[bytes], options: argparse.Namespace
) -> dict[str, list[Figures]]:
    figures: dict[str, list[Figures]] = {way: [] for way in ways}
    expected = [*map(ways["HTTP"](), bodies)]
    work = Work(bodies, expected, options.callers)
    for number in range(options.rounds):
        for way, connect in ways.items():
            measured = _round(connect, work, options.seconds)
            figures[way].append(measured)
            sys.stderr.write(f"round {number + 1}, {way}: {_line(measured)}\n")
    return figures


def _round(connect: Connect, work: Work, seconds: int) -> Figures:
    """One round. Raises WrongAnswers."""
    times = at_full_speed(connect, work, lasting(seconds))
    p50, p99 = (percentile(times, share) for share in (0.5, 0.99))
    return Figures(len(times) / seconds, p50, p99)


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
