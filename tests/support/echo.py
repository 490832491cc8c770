"""An upstream that records its requests, for what the service itself does not show."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Received(NamedTuple):
    """A request as it came."""

    peer: tuple[str, int]
    method: str
    path: str
    headers: Message
    body: bytes


# Status, headers and body of a reply; None: the connection breaks instead.
Say = tuple[int, dict[str, str], bytes] | None

_WELL: Say = (200, {"Content-Type": "application/json"}, b'{"body":"ok","status":"ok"}')


class Echo:
    """What it received, and what it says to that."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[Received] = []
        self.answered = 0
        self.answer: Callable[[Received], Say] = lambda _: _WELL

    @property
    def last(self) -> Message:
        """The headers of the last request."""
        return self.received[-1].headers


@contextmanager
def echoing() -> Iterator[Echo]:
    """An upstream on a free port."""
    echo = Echo()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            echo.received.append(
                Received(self.client_address, self.command, self.path, self.headers, body)
            )
            answer = echo.answer(echo.received[-1])
            if answer is None:
                self.close_connection = True
                return
            status, headers, text = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            echo.answered += 1

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _any  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Say nothing: nginx may end a connection as it likes."""

    with Server(("127.0.0.1", 0), Handler) as server:
        echo.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield echo
        finally:
            server.shutdown()
            thread.join()
