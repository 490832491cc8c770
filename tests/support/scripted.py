"""A server with scripted replies, one for each request, that notes what it received."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Told(NamedTuple):
    """A reply; without a status the connection is cut, after `body` if there is one."""

    status: int = 200
    body: bytes = b'{"body":"ok","status":"ok"}'
    headers: tuple[tuple[str, str], ...] = ()
    keeps: bool = True


CUT = Told(0, b"")


class Got(NamedTuple):
    """A request, with the number of its connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Scripted:
    """The server's address and what it got."""

    def __init__(self, replies: list[Told]) -> None:
        self.replies = replies
        self.got: list[Got] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _reply(self) -> None:
                size = int(self.headers.get("Content-Length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(size)
                number = id(self.connection)
                scripted.got.append(Got(self.command, self.path, headers, body, number))
                told = scripted.replies.pop(0) if scripted.replies else Told()
                if not told.status:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(told.status)
                for name, value in (("Content-Length", str(len(told.body))), *told.headers):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(told.body)
                if not told.keeps:  # as a server that ends idle connections without a word
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = _reply  # noqa: N815 - names of the standard library

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def scripted(*replies: Told) -> Iterator[Scripted]:
    """A server with such replies, then good ones."""
    server = Scripted(list(replies))
    try:
        yield server
    finally:
        server.stop()
