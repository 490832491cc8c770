"""An open-loop flood: `python -m tests.support.flood PORT RATE SECONDS CONNECTIONS < body`.

Requests are due at fixed times, whatever the server does; latency counts from then. Prints a
line of JSON: for each status how many there were and their latencies' percentiles in ms.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count

import gevent
from gevent import socket

from tests.support.server import KEY

_HEAD = (
    "POST /reg/ HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n"
    "x-api-key: {key}\r\nContent-Length: {length}\r\n\r\n"
)


class Flood:
    """Connections that take the next due request as soon as they are free."""

    def __init__(self, port: int, rate: float, seconds: float, body: bytes) -> None:
        self._address = ("127.0.0.1", port)
        self._request = _HEAD.format(key=KEY, length=len(body)).encode() + body
        self._began = time.perf_counter() + 0.5
        self._due = self._timetable(rate, seconds)
        self.latencies: dict[str, list[float]] = defaultdict(list)

    def _timetable(self, rate: float, seconds: float) -> Iterator[float]:
        for number in count():
            due = number / rate
            if due >= seconds:
                return
            yield self._began + due

    def connection(self) -> None:
        """Send what is due, until nothing is."""
        client = socket.create_connection(self._address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for due in self._due:
            ahead = due - time.perf_counter()
            if ahead > 0:
                gevent.sleep(ahead)
            client.sendall(self._request)
            status = self._status(client)
            self.latencies[status].append((time.perf_counter() - due) * 1e3)
            if status == "closed":
                client.close()
                client = socket.create_connection(self._address)
        client.close()

    def _status(self, client: socket.socket) -> str:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = client.recv(65536)
            if not piece:
                return "closed"
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += client.recv(65536)
        return head[9:12].decode()


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Flood, and tell what came of it."""
    port, rate, seconds, connections = map(float, sys.argv[1:])
    flood = Flood(int(port), rate, seconds, sys.stdin.buffer.read())
    gevent.joinall([gevent.spawn(flood.connection) for _ in range(int(connections))])
    told = {
        status: {
            "count": len(values),
            **{f"p{s * 100:g}": round(_percentile(values, s), 1) for s in (0.5, 0.99, 1.0)},
        }
        for status, values in flood.latencies.items()
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
