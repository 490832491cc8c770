"""A worker's memory: bounded after thousands of requests, and not growing over the next."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from loadgen.common.processes import free_port
from tests.support import soak
from tests.support.live import Connection, head
from tests.support.load import flooding
from tests.support.paths import GOLDEN, lines
from tests.support.server import Server, eventually, serving
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow

_REQUESTS = soak.size(10_000, 100_000)
_THREADS = 4
_MEBIBYTE = 1024 * 1024
_BODIES = [line["request"] for line in lines(GOLDEN)]


def _send(server: Server, count: int) -> None:
    """So many requests over one kept connection; every category is sometimes new."""
    with closing(Connection(server)) as connection:
        for number in range(count):
            body = {**_BODIES[number % len(_BODIES)]}
            if number % 50 == 0:
                body["camera_class"] = f"new {number}"
            assert connection.score(json.dumps(body).encode()).status == 200


def _load(server: Server) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(_send, server, _REQUESTS // _THREADS) for _ in range(_THREADS)]:
            done.result()


def _resident(server: Server) -> float:
    (worker,) = server.workers()
    resident: int = psutil.Process(worker.pid).memory_info().rss
    return resident / _MEBIBYTE


def test_a_worker_stays_below_its_bound_and_does_not_grow(tmp_path: Path) -> None:
    # One worker: each request is then its own, whatever the kernel does with connections.
    with serving(tmp_path, workers="1") as server:
        _load(server)
        after_first = _resident(server)
        _load(server)
        after_second = _resident(server)
    assert after_first < 250
    assert after_second < 250
    assert after_second - after_first < 5


def test_under_steady_load_memory_does_not_grow(tmp_path: Path) -> None:
    """For an hour in `make soak`."""
    seconds = soak.size(6, 3600)
    resident: list[float] = []
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with (
        serving(tmp_path, **address, workers="1") as server,
        flooding(server.port, 300, 16, seconds=seconds + 60) as stream,
    ):
        for _ in range(30):
            time.sleep(seconds / 30)
            resident.append(_resident(server))
        stats = stream.stop()
    assert stats.counts().keys() == {"200"}
    assert max(resident[15:]) - max(resident[:15]) < 5, resident


def test_clients_that_go_away_in_the_middle_cost_nothing(tmp_path: Path) -> None:
    begun = head(len(VALID)) + VALID[:100]
    with serving(tmp_path, workers="1") as server, closing(Connection(server)) as steady:
        assert steady.score(VALID).status == 200
        usual = _unix_sockets(server)

        def go_away(times: int) -> None:
            for _ in range(times):
                with server.connect() as connection:
                    connection.sendall(begun)
            eventually(lambda: _unix_sockets(server) == usual, "the others are gone")
            assert steady.score(VALID).status == 200

        go_away(200)
        before = _resident(server)
        go_away(1000)
        assert _resident(server) - before < 5


def _unix_sockets(server: Server) -> int:
    """The listening one, one for each connection, and those by which the event loop is woken."""
    (worker,) = server.workers()
    return len(worker.net_connections("unix"))
