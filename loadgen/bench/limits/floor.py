"""The floor: the least cost of a scoring request in Python.

uvloop and httptools read requests; concurrent rows share one CatBoost call. Each reply has what the
service's has: the key by digest, request id, model version, Server-Timing, a
JSON access line, counters, a latency histogram, and the checks for unseen and look-alike values.
There are no limits, timeouts, metrics page or errors: an invalid request breaks it.
"""

import argparse
import asyncio
import gc
import os
import socket
from bisect import bisect_left
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from random import getrandbits
from time import perf_counter
from typing import Any, Final, NamedTuple

import httptools
import msgspec
import uvloop

from loadgen.bench.limits.batch import Batch
from model.regno import RegnoScorer, Row, Score

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_encode: Final = msgspec.json.Encoder().encode


class Floor:
    """The state that connections share."""

    def __init__(self, model: str, key: str) -> None:
        self.scorer = RegnoScorer.load(model)
        self.decode = RegnoScorer.decoder(1)
        self.batch = Batch(self.scorer, self._write)
        self._names = {sha256(key.encode()).digest(): "floor"}
        self._counts: Counter[Any] = Counter()
        self._histogram = [0] * (len(_BUCKETS) + 1)
        self._lines: list[dict[str, Any]] = []
        self._log = os.open(os.devnull, os.O_WRONLY)

    def name_of(self, key: bytes) -> str | None:
        """The name of a key's owner."""
        return self._names.get(sha256(key).digest())

    def count(self, seconds: float, unseen: int, line: dict[str, Any]) -> None:
        """Count an answered request."""
        self._counts["/reg", "POST", "200", "floor"] += 1
        self._counts["unseen"] += unseen
        self._histogram[bisect_left(_BUCKETS, seconds)] += 1
        self._lines.append(line)

    def _write(self) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        os.write(self._log, b"\n".join(_encode({"time": stamp, **line}) for line in self._lines))
        self._lines.clear()


class Waiting(NamedTuple):
    """A request in the batch: its id, and the times of arrival, decoding and features."""

    row: Row
    request_id: str
    came: float
    decoded: float
    featured: float


class Connection(asyncio.Protocol):
    """One connection, without pipelining."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        self._headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._body.append(piece)

    def on_message_complete(self) -> None:
        """Read the request; its row waits for the batch."""
        came = perf_counter()
        headers, self._headers = self._headers, {}
        body, self._body = b"".join(self._body), []
        floor = self._floor
        if floor.name_of(headers.get(b"x-api-key", b"")) is None:
            self._transport.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        request_id = headers.get(b"x-request-id", b"").decode("latin-1")
        reading: Any = floor.decode(body)
        decoded = perf_counter()
        row = floor.scorer.row(reading)
        floor.scorer.lookalikes(reading)
        waiting = Waiting(row, request_id, came, decoded, perf_counter())
        floor.batch.add(row, partial(self._reply, waiting))

    def _reply(self, waiting: Waiting, score: Score, began: float, ended: float) -> None:
        floor = self._floor
        body = _encode({"body": score, "status": "ok"})
        request_id = waiting.request_id or "%032x" % getrandbits(128)  # noqa: UP031 - as fast as it can be
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"X-Request-Id: {request_id}\r\nX-Model-Version: {floor.scorer.version}\r\n"
            f"Server-Timing: decode;dur={(waiting.decoded - waiting.came) * 1e3:.3f}, "
            f"features;dur={(waiting.featured - waiting.decoded) * 1e3:.3f}, "
            f"wait;dur={(began - waiting.featured) * 1e3:.3f}, "
            f"predict;dur={(ended - began) * 1e3:.3f}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        seconds = perf_counter() - waiting.came
        line = {
            "level": "info", "logger": "access", "request_id": request_id, "method": "POST",
            "route": "/reg", "status": 200, "ms": seconds * 1e3, "key": "floor",
            "model_version": floor.scorer.version, "rows": 1, "warnings": [],
        }  # fmt: skip
        floor.count(seconds, len(floor.scorer.unseen(waiting.row)), line)
        self._transport.write(head.encode() + body)


def main() -> None:
    """Serve until the end of this process."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.bench.limits.floor")
    parser.add_argument("model")
    parser.add_argument("key")
    parser.add_argument("port", type=int)
    parser.add_argument("workers", type=int)
    given = parser.parse_args()
    floor = Floor(given.model, given.key)
    gc.freeze()
    for _ in range(given.workers - 1):
        if os.fork() == 0:
            break
    floor.scorer.warm()  # in each process: threads of CatBoost would not survive a fork
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(floor, given.port))


async def _serve(floor: Floor, port: int) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Connection, floor), sock=listener, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    main()
