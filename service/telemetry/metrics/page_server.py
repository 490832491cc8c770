"""A page of metrics of a process that serves nothing else."""

import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service.telemetry.metrics.bearer import bears

_TEXT: Final = "text/plain; charset=utf-8"


class PageUnavailable(Exception):
    """The metrics can't be read now."""


class PageServer(ThreadingHTTPServer):
    """`GET /metrics` wants the token, if there is one; `GET /healthz` says that the process runs.

    `page` makes the metrics, or raises PageUnavailable.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], token: str, page: Callable[[], bytes]) -> None:
        """Raises OSError for an address that can't be listened at."""
        self.token = token
        self.page = page
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = 10

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, b"ok", _TEXT)
        elif self.path != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"not found", _TEXT)
        elif not bears(self.headers.get("Authorization", ""), self.server.token):
            self._answer(HTTPStatus.UNAUTHORIZED, b"the bearer token is missing or wrong", _TEXT)
        else:
            try:
                page = self.server.page()
            except PageUnavailable:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the metrics are removed", _TEXT)
            else:
                self._answer(HTTPStatus.OK, page, CONTENT_TYPE_PLAIN_0_0_4)

    def log_message(self, *_: object) -> None:
        """Log nothing: the process's log is of its work."""

    def _answer(self, status: HTTPStatus, page: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
