"""gunicorn's hooks, in the order in which a server's life calls them.

`service.wsgi` is imported within the hooks: gunicorn loads it after the configuration file.
"""

import gc
from functools import partial
from typing import TYPE_CHECKING

from model import ModelRefused
from service.process import shutdown, startup
from service.runtime import runtime
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained
from service.telemetry.metrics import multiprocess
from service.telemetry.tracing import traces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket

    from service.app import Parts
    from service.process.master import Master
    from service.server.worker import ScoringWorker
    from service.telemetry.logs import ServerLogger


def _parts() -> "Parts":
    from service.wsgi import app  # noqa: PLC0415

    return app.parts


def on_starting(server: "Master") -> None:
    """In the master: check the final configuration, before anything listens."""
    startup.prepare(server, runtime())
    shutdown.hold_signals_over_forks()


def when_ready(server: "Master") -> None:
    """In the master: log what is served."""
    startup.log_start(server, server.served(), _parts().keys.names)


def pre_fork(server: "Master", _worker: "ScoringWorker") -> None:
    """In the master: freeze the collector's objects, whose marks would copy every shared page."""
    contained("workers", _publish_workers_configured, server)
    gc.freeze()


def _publish_workers_configured(server: "Master") -> None:
    """Only the master knows how many workers there should be: TTIN and TTOU change it."""
    _parts().metrics.process.configured(server.num_workers)


def post_fork(_server: "Master", worker: "ScoringWorker") -> None:
    """In a worker: continue the metrics of the former worker at this place."""
    multiprocess.bind_worker(worker.place)


def post_worker_init(worker: "ScoringWorker") -> None:
    """In a worker: check the keys against the real sockets, and warm the model, before it accepts.

    Raises ModelRefused or RegistryError if the version to serve can't be loaded.
    """
    from service.rollout.startup import start_followers  # noqa: PLC0415

    settings, parts = runtime().settings, _parts()
    metrics = parts.metrics
    contained.start(metrics.background.failure)
    reports.start(settings, metrics.background.report)
    traces.start(settings, parts.holds_secret)
    bound = [listener.getsockname() for listener in worker.sockets]
    parts.keys.revoke_example_key_if_exposed(startup.public(bound, settings))
    for served in parts.served:
        counted = metrics.of(served.model.name).rollout
        try:
            served.slot.warm_up()
        except ModelRefused:
            counted.loaded("refused")
            raise
        counted.loaded("loaded")
        served.slot.bind_worker(str(worker.place))
    begin = start_followers(parts, parts.served, worker.place)
    metrics.process.start(str(worker.place))
    worker.prepare(begin, partial(_publish, parts, worker.log))
    runtime().scoreboard.mark_ready(worker.place)
    shutdown.obey_early_signals(worker)


def _publish(
    parts: "Parts", logger: "ServerLogger", sockets: "Iterable[socket]", in_flight: int
) -> None:
    """Once a second: write metrics and log, reload changed keys. No failure may end the worker."""
    metrics = parts.metrics
    contained("keys", _reload_keys, parts)
    contained("requests", metrics.http.publish, in_flight)
    contained("stages", metrics.scoring.publish)
    contained("process", metrics.process.publish, sockets)
    contained("files", multiprocess.rewrite_removed)
    for live in parts.slot.served:
        contained("drift", live.predictions.publish)
    if parts.slot.capture:
        contained("capture", parts.slot.capture.publish)
    contained("log", _write_log, parts, logger)


def _reload_keys(parts: "Parts") -> None:
    if result := parts.keys.reload_if_changed():
        parts.metrics.background.keys_reload(result)


def _write_log(parts: "Parts", logger: "ServerLogger") -> None:
    if dropped := logger.tick():
        parts.metrics.background.dropped_lines(dropped)


def worker_exit(_server: "Master", worker: "ScoringWorker") -> None:
    """In a worker: write the last counts and lines, and send waiting reports and spans."""
    worker.publish([], 0)
    if capture := _parts().slot.capture:
        contained("capture", capture.close)
    contained("log", worker.log.lines.flush)
    contained("reports", reports.stop)
    contained("traces", traces.stop)


def child_exit(server: "Master", worker: "ScoringWorker") -> None:
    """In the master: free an ended worker's place, and clear its live gauges."""
    folder = runtime().run_folder.path
    contained("gauges", multiprocess.clear_live_gauges, worker.place, folder)
    runtime().scoreboard.leave(worker.place)
    for served in _parts().served:
        served.rollout_state.clear_status(worker.place)
    contained("workers", _publish_workers_configured, server)
