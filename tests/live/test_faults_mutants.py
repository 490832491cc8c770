"""Thousands of mutated requests: no 5xx, no worker lost, no memory kept."""

import json
import select
import socket
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support import soak
from tests.support.live import exchange, posted, wait_until_all_answer
from tests.support.mutants import Mutants
from tests.support.paths import GOLDEN, lines
from tests.support.server import Server, serving

pytestmark = pytest.mark.slow

_COUNT = soak.size(10_000)
_CLIENTS = 4
_SILENCE_SECONDS = 0.02
_MEBIBYTE = 1 << 20


class Client:
    """Sends mutants on a connection, on a new one whenever its server ends it."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.create_connection(self._address)
        self.statuses: Counter[int] = Counter()

    def send(self, raw: bytes) -> None:
        """Send one, and count its reply; none means that the server waits for more of it."""
        with suppress(ConnectionError):
            self._socket.sendall(raw)
        status, goes_on = self._reply()
        self.statuses[status] += 1
        if not goes_on:
            self._socket.close()
            self._socket = socket.create_connection(self._address)

    def _reply(self) -> tuple[int, bool]:
        """The status, 0 for none; and whether the connection is as before the request."""
        received = b""
        with suppress(ConnectionError):
            while True:
                # Half a request is waited for: tell the server that there will be no more.
                if not select.select([self._socket], [], [], _SILENCE_SECONDS)[0]:
                    self._socket.shutdown(socket.SHUT_WR)
                piece = self._socket.recv(65536)
                received += piece
                head, ended, body = received.partition(b"\r\n\r\n")
                if not piece:
                    break
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
                if ended and len(body) == length and b"onnection: close" not in head:
                    return int(received[9:12]), not self._half_closed(head)
        return int(received[9:12] or 0), False

    def _half_closed(self, head: bytes) -> bool:
        """Whether more may come: of a 100, and of replies to what was cut into two requests."""
        return head.startswith(b"HTTP/1.1 1") or bool(select.select([self._socket], [], [], 0)[0])


def _mutate(port: int, seed: int) -> Counter[int]:
    """One client's share."""
    client, mutants = Client(port), Mutants(seed)
    for _ in range(_COUNT // _CLIENTS):
        client.send(mutants.draw())
    return client.statuses


def _resident(server: Server) -> list[float]:
    return [worker.memory_info().rss / _MEBIBYTE for worker in server.workers()]


def test_mutated_requests_break_nothing(tmp_path: Path) -> None:
    expected = lines(GOLDEN)[0]
    valid = posted(json.dumps(expected["request"]).encode())
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with serving(tmp_path, **address, log_level="error") as server:
        wait_until_all_answer(server)
        before = exchange(server, valid).json()
        pids = server.pids()
        spawned = get_context("spawn")
        with ProcessPoolExecutor(_CLIENTS, mp_context=spawned) as pool:
            shares = pool.map(partial(_mutate, server.port), range(_CLIENTS))
            statuses = sum(shares, Counter[int]())
        assert sum(statuses.values()) == _COUNT
        assert {status for status in statuses if status >= 500} == set(), statuses
        # It did reach what it was to reach: scored, refused as JSON, refused as HTTP.
        for status in (200, 400, 401, 415):
            assert statuses[status] > 5, statuses
        assert statuses[0] < _COUNT // 50, "hardly any is left without an answer"
        assert server.pids() == pids
        assert max(_resident(server)) < 250
        assert exchange(server, valid).json() == before
        assert before["status"] == "ok"
        assert server.output() == ""  # not one error
