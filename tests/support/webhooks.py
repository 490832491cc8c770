"""A receiver of webhooks on loopback: a real HTTP server that notes what it is sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, SOCK_STREAM, socket
from threading import Thread
from typing import Any, NamedTuple

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Received(NamedTuple):
    """A message as it came."""

    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """`statuses` are what it answers, in order; the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.received: list[Received] = []
        self.statuses = list(statuses) or [204]
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(Received(dict(self.headers), body))
                left = receiver.statuses
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Location", receiver.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    """A receiver that runs."""
    receiver = Receiver(*statuses)
    thread = Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


class SilentEndpoint:
    """Takes connections, and says nothing on them."""

    def __init__(self) -> None:
        self._listener = socket(AF_INET, SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(100)
        self._listener.settimeout(0)
        self._taken: list[socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/hook"

    @property
    def connections(self) -> int:
        """How many came so far."""
        with suppress(BlockingIOError):
            while True:
                self._taken.append(self._listener.accept()[0])
        return len(self._taken)

    def hang_up(self) -> None:
        """End the connections that came so far."""
        for number in range(self.connections):
            self._taken[number].close()

    def close(self) -> None:
        """Take no more."""
        self.hang_up()
        self._listener.close()


@contextmanager
def silent() -> Iterator[SilentEndpoint]:
    """An endpoint that says nothing."""
    endpoint = SilentEndpoint()
    try:
        yield endpoint
    finally:
        endpoint.close()
