"""gunicorn's hooks: what they do for every kind of server, in the order in which they are called.

A configuration file hands the methods of one object to gunicorn.
"""

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from service.process import shutdown, startup
from service.runtime import runtime
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained
from service.telemetry.metrics import multiprocess
from service.telemetry.tracing import traces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket

    from service.http.api_keys import ApiKeys
    from service.process.master import Master
    from service.telemetry.logs import ServerLogger
    from service.telemetry.metrics import ServerMetrics


class ServerParts(Protocol):
    """What the app of every kind of server has."""

    @property
    def keys(self) -> "ApiKeys":
        """The keys of callers."""

    @property
    def metrics(self) -> "ServerMetrics":
        """The series of the server."""


class ServerHooks(ABC):
    """The hooks. A worker is gunicorn's, with a place and with the methods that are used here."""

    def __init__(self, kind: startup.Kind) -> None:
        self._kind = kind

    @property
    @abstractmethod
    def parts(self) -> ServerParts:
        """What the app has. gunicorn loads it after the configuration file."""

    @abstractmethod
    def start(self, worker: Any) -> Callable[..., Any]:
        """In a worker: make the app serve. Returns what the worker's `prepare` gets first."""

    @abstractmethod
    def publish(self) -> None:
        """Once a second in a worker: write the metrics that only this kind has."""

    def close(self) -> None:
        """At the end of a worker: write what only this kind has, before the log is closed."""
        return

    def on_starting(self, server: "Master") -> None:
        """In the master: check the final configuration, before anything listens."""
        startup.prepare(server, runtime(), self._kind)
        shutdown.hold_signals_over_forks()

    def when_ready(self, server: "Master") -> None:
        """In the master: log what is served."""
        startup.log_start(server, server.served(), self.parts.keys.names)

    def pre_fork(self, server: "Master", _worker: Any) -> None:
        """In the master: freeze the collector's objects, whose marks would copy shared pages."""
        contained("workers", self._publish_workers_configured, server)
        gc.freeze()

    def post_fork(self, _server: "Master", worker: Any) -> None:
        """In a worker: continue the metrics of the former worker at this place."""
        multiprocess.bind_worker(worker.place)

    def post_worker_init(self, worker: Any) -> None:
        """In a worker: check the keys against the real sockets, and start, before it accepts.

        Raises what `start` raises.
        """
        settings, parts = runtime().settings, self.parts
        metrics = parts.metrics
        contained.start(metrics.background.failure)
        reports.start(settings, metrics.background.report)
        traces.start(settings, parts.keys.search(settings.metrics_token))
        bound = [listener.getsockname() for listener in worker.sockets]
        parts.keys.revoke_example_key_if_exposed(startup.public(bound, settings))
        started = self.start(worker)
        metrics.process.start(str(worker.place))
        worker.prepare(started, partial(self._publish, worker.log))
        runtime().scoreboard.mark_ready(worker.place)
        shutdown.obey_early_signals(worker)

    def worker_exit(self, _server: "Master", worker: Any) -> None:
        """In a worker: write the last counts and lines, and send waiting reports and spans."""
        worker.publish([], 0)
        self.close()
        contained("log", worker.log.lines.flush)
        contained("reports", reports.stop)
        contained("traces", traces.stop)

    def child_exit(self, server: "Master", worker: Any) -> None:
        """In the master: free an ended worker's place, and clear its live gauges."""
        folder = runtime().run_folder.path
        contained("gauges", multiprocess.clear_live_gauges, worker.place, folder)
        runtime().scoreboard.leave(worker.place)
        contained("workers", self._publish_workers_configured, server)

    def _publish_workers_configured(self, server: "Master") -> None:
        """Only the master has the configured number of workers: TTIN and TTOU change it."""
        self.parts.metrics.process.configured(server.num_workers)

    def _publish(self, logger: "ServerLogger", sockets: "Iterable[socket]", in_flight: int) -> None:
        """Once a second: write metrics and log, reload changed keys.

        No failure may end the worker.
        """
        metrics = self.parts.metrics
        contained("keys", self._reload_keys)
        contained("requests", metrics.http.publish, in_flight)
        contained("process", metrics.process.publish)
        contained("process", metrics.accepting.publish, sockets)
        self.publish()
        contained("files", multiprocess.rewrite_removed)
        contained("log", self._write_log, logger)

    def _reload_keys(self) -> None:
        if result := self.parts.keys.reload_if_changed():
            self.parts.metrics.background.keys_reload(result)

    def _write_log(self, logger: "ServerLogger") -> None:
        if dropped := logger.tick():
            self.parts.metrics.background.dropped_lines(dropped)
