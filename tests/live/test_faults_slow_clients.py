"""Five hundred clients that send a byte a second, before the edge: the others do not feel them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import pytest

from loadgen.common.open_loop import StreamStats
from tests.support.edge import Edge, edge_before
from tests.support.live import head
from tests.support.load import flooding
from tests.support.server import eventually, free_port, serving

pytestmark = pytest.mark.slow

_SLOW = 500
_RATE = 200
_SECONDS = 6.0


def _stream(edge: Edge) -> StreamStats:
    """What normal clients feel."""
    with flooding(edge.port, _RATE, 8, seconds=_SECONDS) as stream:
        told = stream.wait()
    assert told.counts() == {"200": _RATE * _SECONDS}
    return told


@contextmanager
def _slow_clients(edge: Edge) -> Iterator[None]:
    """Each has begun a request, every fifth only its head, and goes on with a byte a second.

    Strangers do so at moments of their own: all at once they would be a load of another kind.
    """
    begun, over = head(90_000), Event()

    def drip() -> None:
        for client in cycle(clients):
            if over.wait(1 / _SLOW):
                return
            with suppress(OSError):
                client.sendall(b"x")

    with ExitStack() as held:
        clients = []
        for number in range(_SLOW):
            connection = socket.create_connection(("127.0.0.1", edge.port), 20)
            clients.append(held.enter_context(connection))
            connection.sendall(begun[:-2] + b"X-Slow: " if number % 5 == 0 else begun)
        eventually(lambda: _active(edge) >= _SLOW, "all are connected")
        dripping = Thread(target=drip)
        dripping.start()
        try:
            yield
            assert _active(edge) >= _SLOW, "all were there to the end"
        finally:
            over.set()
            dripping.join()


def _active(edge: Edge) -> int:
    return int(edge.status("/status").body.decode().splitlines()[0].split(":")[1])


def _best_of_two(edge: Edge) -> dict[str, float]:
    """The lower percentiles of two streams: what else the machine does only ever adds."""
    one, other = (_stream(edge).ends["200"].sent for _ in range(2))
    return {name: min(one[name], other[name]) for name in one}


def test_normal_clients_do_not_feel_five_hundred_slow_ones(tmp_path: Path) -> None:
    port = free_port()
    patient = {"connections_per_address": "0", "header_timeout": "60", "body_timeout": "60"}
    with (
        serving(tmp_path / "server", host="127.0.0.1", port=str(port)) as server,
        edge_before(tmp_path / "edge", port, **patient) as edge,
    ):
        _stream(edge)  # all is warm
        alone = _best_of_two(edge)
        with _slow_clients(edge):
            beside = _best_of_two(edge)
            # The edge reads bodies whole before it asks: none of the slow ones is in the service.
            open_there = sum(len(worker.net_connections("tcp")) for worker in server.workers())
            assert open_there < 50
    assert beside["p50"] < 2 * alone["p50"]
    # Of 1,200 requests a dozen make the p99: a neighbour on the machine alone moves it by ms.
    assert beside["p99"] < 2 * alone["p99"] + 20
    assert beside["max"] < 1000
