"""An open-loop stream: `python -m tests.support.flood PORT RATE SECONDS CONNECTIONS < body`.

Requests are due at fixed times, whatever the server does. `--fresh` opens a connection for
each. It ends early on TERM. Prints `ready`, and at the end a line of JSON: a `Told`.
"""

import asyncio
import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from typing import Any, Final

import uvloop
from msgspec import Struct, convert

from tests.support.clock import awake
from tests.support.paths import ROOT
from tests.support.server import KEY
from tests.support.strategies import VALID

_HEAD: Final = (
    "POST /reg/ HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n"
    "x-api-key: {key}\r\nContent-Length: {length}\r\n\r\n"
)
_UNTIL_STOPPED: Final = 600.0


class Latencies(Struct):
    """How many requests ended in one way, and percentiles of their latencies in ms."""

    count: int
    due: dict[str, float]
    """From when they were due: what a client felt, the generator's own lateness included."""
    sent: dict[str, float]
    """From when they were sent, as the machine ran: what the server took."""


class Told(Struct):
    """What came of a stream. The ways to end: a status, `refused` (no connection), `closed`."""

    ends: dict[str, Latencies]
    longest_pause: float
    """Seconds, as the machine ran: the longest between two scores."""
    bodies: list[tuple[str, str]]
    """The different bodies of scores, each after the version of the model that it names."""
    seconds: float
    """How long it lasted."""

    def counts(self) -> dict[str, int]:
        """How many requests ended in each way."""
        return {end: latencies.count for end, latencies in self.ends.items()}


class Flood:
    """Connections that take the next due request as soon as they are free."""

    def __init__(self, port: int, rate: float, seconds: float, body: bytes, *, kept: bool) -> None:
        self._address = ("127.0.0.1", port)
        self._kept = kept
        self._request = _HEAD.format(key=KEY, length=len(body)).encode() + body
        self._began = time.perf_counter() + 0.2
        self._over = False
        self._due = self._timetable(rate, seconds)
        self._latencies: dict[str, list[tuple[float, float]]] = defaultdict(list)
        # Connections that the server said it would close.
        self._last: set[socket.socket] = set()
        self._scored_at = [awake()]
        self._bodies: set[tuple[str, str]] = set()

    def _timetable(self, rate: float, seconds: float) -> Iterator[float]:
        for number in count():
            due = number / rate
            if due >= seconds or self._over:
                return
            yield self._began + due

    def end(self) -> None:
        """Send no more."""
        self._over = True

    async def connection(self) -> None:
        """Send what is due, until nothing is."""
        client: socket.socket | None = None
        for due in self._due:
            ahead = due - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            sent = awake()
            try:
                client = await self._opened(client)
                await asyncio.get_running_loop().sock_sendall(client, self._request)
                end = await self._reply(client)
            except ConnectionRefusedError:
                end = "refused"
            except OSError:
                end = "closed"
            now = awake()
            self._latencies[end].append((time.perf_counter() - due, now - sent))
            if end == "200":
                self._scored_at.append(now)
            done = end in {"closed", "refused"} or client in self._last or not self._kept
            if client and done:
                self._last.discard(client)
                client.close()
                client = None
        if client:
            client.close()

    async def _opened(self, client: socket.socket | None) -> socket.socket:
        """The connection if it is still open: a server may end one between two requests."""
        if client:
            if not select.select([client], [], [], 0)[0]:
                return client
            client.close()
        client = socket.socket()
        client.setblocking(False)  # noqa: FBT003
        try:
            await asyncio.get_running_loop().sock_connect(client, self._address)
        except OSError:
            client.close()
            raise
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    async def _reply(self, client: socket.socket) -> str:
        loop = asyncio.get_running_loop()
        received = b""
        while b"\r\n\r\n" not in received:
            piece = await loop.sock_recv(client, 65536)
            if not piece:
                return "closed"
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            piece = await loop.sock_recv(client, 65536)
            if not piece:
                return "closed"
            body += piece
        if b"\r\nconnection: close" in head.lower():
            self._last.add(client)
        status = head[9:12].decode()
        if status == "200":
            version = head.lower().partition(b"x-model-version: ")[2].split(b"\r\n")[0]
            self._bodies.add((version.decode(), body.decode()))
        return status

    def told(self) -> dict[str, Any]:
        """What came of it so far."""
        pauses = (later - one for one, later in pairwise(self._scored_at))
        ends = {
            end: {"count": len(both), "due": _percentiles(due), "sent": _percentiles(sent)}
            for end, both in self._latencies.items()
            for due, sent in [zip(*both, strict=True)]
        }
        return {
            "ends": ends,
            "longest_pause": max(pauses, default=0.0),
            "bodies": sorted(self._bodies),
            "seconds": time.perf_counter() - self._began,
        }


def _percentiles(seconds: tuple[float, ...]) -> dict[str, float]:
    values, shares = sorted(seconds), {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(values) - 1
    return {name: round(values[int(share * last)] * 1e3, 2) for name, share in shares.items()}


class Stream:
    """A flood in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def stop(self) -> Told:
        """End it, if it has not ended by itself: what came of it."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> Told:
        """Wait until all that was due is answered: what came of it."""
        out, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0
        return convert(json.loads(out), Told)


@contextmanager
def flooding(  # noqa: PLR0913 - what a load is described by
    port: int,
    rate: float,
    connections: int,
    *,
    seconds: float = _UNTIL_STOPPED,
    body: bytes = VALID,
    kept: bool = True,
) -> Iterator[Stream]:
    """A stream of so many requests a second to a port of loopback, for so long or until stopped."""
    numbers = [str(number) for number in (port, rate, seconds, connections)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.flood", *numbers, *(() if kept else ("--fresh",))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdin
            process.stdin.write(body)
            process.stdin.close()
            process.stdin = None
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield Stream(process)
        finally:
            process.kill()


async def main() -> None:
    """Flood, and tell what came of it."""
    port, rate, seconds, connections = map(float, sys.argv[1:5])
    body = sys.stdin.buffer.read()
    flood = Flood(int(port), rate, seconds, body, kept="--fresh" not in sys.argv)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, flood.end)
    async with asyncio.TaskGroup() as clients:
        for _ in range(int(connections)):
            clients.create_task(flood.connection())
        print("ready", flush=True)  # noqa: T201 - to who waits for it
    sys.stdout.write(json.dumps(flood.told()) + "\n")


if __name__ == "__main__":
    uvloop.run(main())
