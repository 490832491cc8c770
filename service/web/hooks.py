"""gunicorn's hooks for the web processes, in the order in which a server's life calls them."""

import gc
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from service.process import shutdown, startup
from service.runtime import runtime
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained
from service.telemetry.metrics import multiprocess
from service.telemetry.tracing import traces
from service.web.settings import PREFIX

if TYPE_CHECKING:
    from service.telemetry.logs import ServerLogger
    from service.web.wsgi import Application

_KIND: Final = startup.Kind(
    MappingProxyType(
        {"worker_class": "service.web.worker.WebWorker", "logger_class": startup.LOGGER}
    ),
    without_effect=("access_log_format", "certfile", "keyfile", "max_requests", "proxy_protocol"),
    prefix=PREFIX,
)


def _app() -> "Application":
    from service.web.wsgi import app  # noqa: PLC0415 - gunicorn loads it after the configuration

    return app


def on_starting(server: Any) -> None:
    """In the master: check the final configuration, before anything listens."""
    startup.prepare(server, runtime(), _KIND)
    shutdown.hold_signals_over_forks()


def when_ready(server: Any) -> None:
    """In the master: log what is served."""
    startup.log_start(server, server.served(), _app().keys.names)


def pre_fork(server: Any, _worker: Any) -> None:
    """In the master: freeze the collector's objects, whose marks would copy every shared page."""
    contained("workers", _publish_workers_configured, server)
    gc.freeze()


def _publish_workers_configured(server: Any) -> None:
    _app().metrics.process.configured(server.num_workers)


def post_fork(_server: Any, worker: Any) -> None:
    """In a worker: continue the metrics of the former worker at this place."""
    multiprocess.bind_worker(worker.place)


def post_worker_init(worker: Any) -> None:
    """In a worker: check the keys against the real sockets, and connect to what keeps jobs."""
    settings, app = runtime().settings, _app()
    metrics = app.metrics
    contained.start(metrics.background.failure)
    reports.start(settings, metrics.background.report)
    traces.start(settings, app.keys.search(settings.metrics_token))
    bound = [listener.getsockname() for listener in worker.sockets]
    app.keys.revoke_example_key_if_exposed(startup.public(bound, settings))
    observe = app.begin(worker.log.answered)
    metrics.process.start(str(worker.place))
    worker.prepare(observe, partial(_publish, app, worker.log))
    runtime().scoreboard.mark_ready(worker.place)
    shutdown.obey_early_signals(worker)


def _publish(
    app: "Application", logger: "ServerLogger", sockets: list[Any], in_flight: int
) -> None:
    """Once a second: write metrics and log, reload changed keys. No failure may end the worker."""
    contained("keys", _reload_keys, app)
    contained("requests", app.metrics.http.publish, in_flight)
    contained("process", app.metrics.process.publish, sockets)
    if app.job_counts:
        contained("jobs", app.job_counts.publish)
    contained("files", multiprocess.rewrite_removed)
    contained("log", _write_log, app, logger)


def _reload_keys(app: "Application") -> None:
    if result := app.keys.reload_if_changed():
        app.metrics.background.keys_reload(result)


def _write_log(app: "Application", logger: "ServerLogger") -> None:
    if dropped := logger.tick():
        app.metrics.background.dropped_lines(dropped)


def worker_exit(_server: Any, worker: Any) -> None:
    """In a worker: write the last counts and lines, and send waiting reports and spans."""
    worker.publish([], 0)
    contained("log", worker.log.lines.flush)
    contained("reports", reports.stop)
    contained("traces", traces.stop)
    # Last: an endpoint may take long, and the master waits for no worker for ever.
    if webhooks := _app().webhooks:
        contained("webhooks", webhooks.stop)


def child_exit(server: Any, worker: Any) -> None:
    """In the master: free an ended worker's place, and clear its live gauges."""
    contained("gauges", multiprocess.clear_live_gauges, worker.place, runtime().run_folder.path)
    runtime().scoreboard.leave(worker.place)
    contained("workers", _publish_workers_configured, server)
