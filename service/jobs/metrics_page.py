"""The metrics of a job worker over HTTP, by a process of its own.

A thread in the parent could hold a lock in the moment of a fork.
"""

import logging
import os
import signal
from typing import NoReturn

from prometheus_client import CollectorRegistry, generate_latest

from service.config import addresses
from service.config.settings import Settings, SettingsError, variable
from service.telemetry.metrics import multiprocess
from service.telemetry.metrics.page_server import PageServer, PageUnavailable

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


class _Server(PageServer):
    """Ends with the worker."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._parent = os.getpid()
        address = addresses.ip_and_port(settings.worker_metrics_bind)
        super().__init__(address, settings.metrics_token, lambda: _page(registry))

    def service_actions(self) -> None:
        """Look twice a second whether the worker still runs."""
        if os.getppid() != self._parent:
            os._exit(0)


def _page(registry: CollectorRegistry) -> bytes:
    try:
        return generate_latest(multiprocess.collector(registry))
    except (multiprocess.FolderRemoved, OSError) as error:
        raise PageUnavailable from error
