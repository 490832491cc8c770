"""Five hundred clients that send a byte a second, before the edge: all others are served."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import pytest

from loadgen.common.processes import free_port
from tests.support.edge import Edge, edge_before
from tests.support.live import head
from tests.support.load import flooding
from tests.support.server import eventually, serving

pytestmark = pytest.mark.slow

_SLOW = 500
_RATE = 200
_SECONDS = 6.0


def _stream(edge: Edge) -> None:
    """Normal clients: each of their requests must be scored."""
    with flooding(edge.port, _RATE, 8, seconds=_SECONDS) as stream:
        assert stream.wait().counts() == {"200": _RATE * _SECONDS}


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


def test_normal_clients_are_served_during_five_hundred_slow_ones(tmp_path: Path) -> None:
    port = free_port()
    patient = {"connections_per_address": "0", "header_timeout": "60", "body_timeout": "60"}
    with (
        serving(tmp_path / "server", host="127.0.0.1", port=str(port)) as server,
        edge_before(tmp_path / "edge", port, **patient) as edge,
        _slow_clients(edge),
    ):
        _stream(edge)
        # The edge reads bodies whole before it asks: none of the slow ones is in the service.
        open_there = sum(len(worker.net_connections("tcp")) for worker in server.workers())
        assert open_there < 50
