"""An open-loop stream of requests: each is due at a fixed time, whatever the server does.

`python -m loadgen.common.open_loop < job` sends the requests of a `Job` in turn. It ends early on
TERM. It prints `ready` and, at the end, a line of JSON: `StreamStats`.
"""

import asyncio
import select
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, pairwise
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from loadgen.common.clock import awake
from loadgen.common.options import ROOT
from loadgen.common.schedule import Level, due_times

_LEAD_SECONDS: Final = 0.2
_PIECE: Final = 65536


class Job(Struct, frozen=True):
    """Requests as they go over the connection, and when to send them to a port of 127.0.0.1.

    `kept` connections carry many requests; others one each.
    """

    port: int
    stages: Sequence[Level]
    connections: int
    requests: Sequence[bytes]
    kept: bool = True


class Latencies(Struct):
    """How many requests ended in one way, and percentiles of their latencies in ms.

    `due` counts from when a request was due, as a client feels it, the generator's own lateness
    included. `sent` counts from when it was sent, standstills of the machine left out.
    """

    count: int
    due: dict[str, float]
    sent: dict[str, float]


class StreamStats(Struct):
    """The outcome of a stream.

    `ends` has latencies by the way requests ended: a status, `refused` (no connection) or `closed`.
    `longest_pause` is the longest time between two scores in seconds, standstills left out.
    `bodies` are the different bodies of scores, each after the model version that it names.
    """

    ends: dict[str, Latencies]
    longest_pause: float
    bodies: list[tuple[str, str]]
    seconds: float

    def counts(self) -> dict[str, int]:
        """The number of requests by the way they ended."""
        return {end: latencies.count for end, latencies in self.ends.items()}


class OpenLoop:
    """Connections that take the next due request as soon as they are free."""

    def __init__(self, job: Job) -> None:
        self._address = ("127.0.0.1", job.port)
        self._kept = job.kept
        self._began = time.perf_counter() + _LEAD_SECONDS
        self._stopped = False
        self._due = zip(self._due_times(job.stages), cycle(job.requests), strict=False)
        self._latencies: dict[str, list[tuple[float, float]]] = defaultdict(list)
        # Connections whose last reply announced the end.
        self._closing: set[socket.socket] = set()
        self._scored_at = [awake()]
        self._bodies: set[tuple[str, str]] = set()

    def _due_times(self, stages: Sequence[Level]) -> Iterator[float]:
        for due in due_times(stages):
            if self._stopped:
                return
            yield self._began + due

    def stop(self) -> None:
        """Send no further requests."""
        self._stopped = True

    async def connection(self) -> None:
        """Send due requests until there are none left."""
        client: socket.socket | None = None
        for due, request in self._due:
            ahead = due - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            sent = awake()
            try:
                client = await self._opened(client)
                await asyncio.get_running_loop().sock_sendall(client, request)
                end = await self._reply(client)
            except ConnectionRefusedError:
                end = "refused"
            except OSError:
                end = "closed"
            now = awake()
            self._latencies[end].append((time.perf_counter() - due, now - sent))
            if end == "200":
                self._scored_at.append(now)
            done = end in {"closed", "refused"} or client in self._closing or not self._kept
            if client and done:
                self._closing.discard(client)
                client.close()
                client = None
        if client:
            client.close()

    async def _opened(self, client: socket.socket | None) -> socket.socket:
        """The connection if it is still open, else a new one."""
        if client:
            # A server may end a connection between two requests.
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
            piece = await loop.sock_recv(client, _PIECE)
            if not piece:
                return "closed"
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            piece = await loop.sock_recv(client, _PIECE)
            if not piece:
                return "closed"
            body += piece
        if b"\r\nconnection: close" in head.lower():
            self._closing.add(client)
        status = head[9:12].decode()
        if status == "200":
            version = head.lower().partition(b"x-model-version: ")[2].split(b"\r\n")[0]
            self._bodies.add((version.decode(), body.decode()))
        return status

    def stats(self) -> StreamStats:
        """The outcome so far."""
        pauses = (later - one for one, later in pairwise(self._scored_at))
        ends = {
            end: Latencies(len(both), _percentiles(due), _percentiles(sent))
            for end, both in self._latencies.items()
            for due, sent in [zip(*both, strict=True)]
        }
        return StreamStats(
            ends,
            max(pauses, default=0.0),
            sorted(self._bodies),
            time.perf_counter() - self._began,
        )


def _percentiles(seconds: tuple[float, ...]) -> dict[str, float]:
    values, shares = sorted(seconds), {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(values) - 1
    return {name: round(values[int(share * last)] * 1e3, 2) for name, share in shares.items()}


class Stream:
    """An open loop in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def stop(self) -> StreamStats:
        """End the stream if it has not ended; the outcome."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> StreamStats:
        """Wait until every due request has ended; the outcome."""
        out, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0  # noqa: S101 - its error is on stderr
        return msgspec.json.decode(out, type=StreamStats)


@contextmanager
def streaming(job: Job) -> Iterator[Stream]:
    """A stream that has begun; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "loadgen.common.open_loop"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdin  # noqa: S101 - both are piped
            assert process.stdout  # noqa: S101
            process.stdin.write(msgspec.msgpack.encode(job))
            process.stdin.close()
            process.stdin = None
            assert process.stdout.readline() == b"ready\n"  # noqa: S101
            yield Stream(process)
        finally:
            process.kill()


async def main() -> None:
    """Send the job that stands on standard input; print the outcome."""
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    open_loop = OpenLoop(job)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, open_loop.stop)
    async with asyncio.TaskGroup() as clients:
        for _ in range(job.connections):
            clients.create_task(open_loop.connection())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    sys.stdout.write(msgspec.json.encode(open_loop.stats()).decode() + "\n")


if __name__ == "__main__":
    uvloop.run(main())
