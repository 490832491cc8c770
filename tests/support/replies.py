"""Replies to requests that no client library would send, off a bare connection."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import parse_headers

from tests.support.odd_requests import HTTP_0_9
from tests.support.reply import Reply

_LAST = b"GET / HTTP/1.1\r\nHost: a\r\nx-api-key: 123321\r\nX-Request-Id: the-last\r\n\r\n"


class Replies:
    """What comes back on a connection, reply by reply. A reset ends it as an end does."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def close(self) -> None:
        """Close what the connection is read by."""
        self._file.close()

    def statuses(self, count: int) -> list[int]:
        """Those of the next replies, up to so many; fewer if the connection ends."""
        return [reply.status for reply in self.next(count)]

    def next(self, count: int) -> list[Reply]:
        """The next replies, up to so many; fewer if the connection ends, or nothing more comes."""
        replies: list[Reply] = []
        while len(replies) < count and (reply := self._next()):
            replies.append(reply)
        return replies

    def ended(self) -> bool:
        """Whether nothing more comes but the end; waits for it."""
        with suppress(ConnectionResetError):
            return self._file.read(1) == b""
        return True

    def goes_on(self) -> bool:
        """Whether a request that is sent now is the next to be answered."""
        self._connection.sendall(_LAST)
        reply = self._next()
        return reply is not None and reply.all("X-Request-Id") == ["the-last"]

    def _next(self) -> Reply | None:
        with suppress(ConnectionResetError, TimeoutError):
            line = self._file.readline()
            if line and not line.startswith(b"HTTP/"):
                return Reply(HTTP_0_9, [], line + self._file.read())
            if line:
                headers = parse_headers(self._file)
                body = self._file.read(int(headers.get("Content-Length", "0")))
                return Reply(int(line.split(b" ")[1]), headers.items(), body)
        return None


@contextmanager
def replies_to(connection: socket.socket, data: bytes) -> Iterator[Replies]:
    """Send bytes, though the connection may end before all are taken; what comes back."""
    replies = Replies(connection)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        yield replies
    finally:
        replies.close()
        connection.close()
