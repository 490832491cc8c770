"""The metrics of a job worker over HTTP, by a process of its own.

A thread in the parent could hold a lock in the moment of a fork.
"""

import logging
import os
import signal
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NoReturn

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service.config import addresses
from service.config.settings import Settings, SettingsError, variable
from service.http.bearer import bears
from service.telemetry.metrics import multiprocess

_TEXT: Final = "text/plain; charset=utf-8"

log = logging.getLogger("scoring")


class MetricsPage:
    """The page at the address for workers, if there is one, until this process ends.

    `GET /metrics` wants the metrics' token, if there is one; `GET /healthz` says that the worker
    runs.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        """Serve it. Raises SettingsError for an address that can't be listened at."""
        self._settings = settings
        self._registry = registry
        self._process = 0
        try:
            self._start()
        except OSError as error:
            reason = f"{settings.worker_metrics_bind}: {error.strerror}"
            raise SettingsError(variable("worker_metrics_bind"), reason) from error

    def restart_if_ended(self) -> None:
        """Start another process if the one that serves the page has ended. Raises OSError."""
        if self._process:
            ended, status = os.waitpid(self._process, os.WNOHANG)
            if not ended:
                return
            self._process = 0
            code = os.waitstatus_to_exitcode(status)
            log.error("The process of the worker's metrics ended with %d", code)
        self._start()

    def _start(self) -> None:
        """Fork the process, which takes the address anew. Raises OSError."""
        if not self._settings.worker_metrics_bind:
            return
        server = _Server(self._settings, self._registry)
        try:
            process = os.fork()
            if not process:
                _serve(server)
        finally:
            server.server_close()
        self._process = process


def _serve(server: "_Server") -> NoReturn:
    """Serve in this forked process, and end it."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # it ends with its parent
        server.serve_forever()
    finally:
        os._exit(1)


class _Server(ThreadingHTTPServer):
    """Ends with the worker."""

    daemon_threads = True

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.token = settings.metrics_token
        self._parent = os.getpid()
        host, port = addresses.ip_and_port(settings.worker_metrics_bind)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def service_actions(self) -> None:
        """Look twice a second whether the worker still runs."""
        if os.getppid() != self._parent:
            os._exit(0)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
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
                page = generate_latest(multiprocess.collector(self.server.registry))
            except (multiprocess.FolderRemoved, OSError):
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the metrics are removed", _TEXT)
            else:
                self._answer(HTTPStatus.OK, page, CONTENT_TYPE_PLAIN_0_0_4)

    def log_message(self, *_: object) -> None:
        """Log nothing: the worker's log is of jobs."""

    def _answer(self, status: HTTPStatus, page: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
