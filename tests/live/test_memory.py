"""A worker's memory: bounded after 10,000 requests, and not growing over the next 10,000."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.paths import GOLDEN, lines
from tests.support.server import Server, serving

pytestmark = pytest.mark.slow

_REQUESTS = 10_000
_THREADS = 4
_MEBIBYTE = 1024 * 1024
_BODIES = [line["request"] for line in lines(GOLDEN)]


def _send(server: Server, count: int) -> None:
    """So many requests over one kept connection; every category is sometimes new."""
    with server.client() as client:
        for number in range(count):
            body = {**_BODIES[number % len(_BODIES)]}
            if number % 50 == 0:
                body["camera_class"] = f"new {number}"
            status = client.post("/reg/", json=body).status_code
            assert status == 200


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


def test_a_client_that_reads_nothing_costs_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, workers="1") as server:
        with server.client() as client:
            client.post("/reg/", json=_BODIES).raise_for_status()
        before = _resident(server)
        for _ in range(200):
            with server.connect() as connection:
                connection.sendall(b"POST /reg/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        with server.client() as client:
            assert isinstance(client.get("/"), httpx.Response)
        assert _resident(server) - before < 5
