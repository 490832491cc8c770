"""gunicorn's process settings and hooks, nothing else.

Run by `python -m service`, or by gunicorn itself: `gunicorn -c service/gunicorn.conf.py`.
"""

import gc
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import gunicorn.app.base

from model import ModelRefused
from service.config.settings import (
    Settings,
    SettingsError,
    export_for_libraries,
    of_this_server,
    stop,
)
from service.process import cpu_quota, run_folder, shutdown, startup, ulimits
from service.process.master import Master
from service.process.scoreboard import scoreboard
from service.rollout.rollout_state import whiteboard
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained
from service.telemetry.tracing import traces

if TYPE_CHECKING:
    from service.app import Parts


def _load() -> Settings:
    try:
        settings = of_this_server()
        ulimits.check()
        run_folder.metrics_folder()
        reports.preload(settings)
        traces.preload(settings)
    except SettingsError as error:
        stop(error)
    return settings


# gunicorn makes its master process of this class, however it was started.
gunicorn.app.base.Arbiter = Master

_settings = _load()
# Made before the first fork, so that all workers see them.
scoreboard()
whiteboard()
# Before anything imports prometheus_client or numpy.
export_for_libraries(run_folder.metrics_folder())

with ulimits.naming_lack_of_memory():
    from service.telemetry.metrics import multiprocess

multiprocess.install()

wsgi_app = "service.wsgi:app"
bind = _settings.binds
workers = _settings.workers or cpu_quota.available()
worker_class = "service.server.worker.ScoringWorker"
logger_class = "service.telemetry.logs.ServerLogger"
loglevel = _settings.log_level
accesslog = "-"
keepalive = _settings.keepalive
graceful_timeout = _settings.graceful_timeout
# Libraries and model are loaded once and shared; a lost worker is replaced by a fork.
preload_app = True
# Heartbeats on a disk can stall with it, and the arbiter then kills a healthy worker.
worker_tmp_dir = str(run_folder.metrics_folder().parent)
# Its default place is in $HOME, which a read-only container does not have.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Check the final configuration, before anything listens."""
    startup.prepare(server, _settings, globals())
    shutdown.hold_over_forks()


def when_ready(server: Any) -> None:
    """Let a stop begin with the readiness, and do not upgrade: gunicorn looks these up by name."""
    from service.wsgi import app, model_description

    files = 2 * server.cfg.workers, run_folder.metrics_folder()
    server.keep_files = partial(multiprocess.restore_folder, *files)
    server.handle_term = partial(shutdown.stop, server, _settings.drain_seconds)
    server.handle_usr2 = partial(shutdown.refuse_upgrade, server)
    startup.log_start(server, model_description(), app.parts.keys.names)


def pre_fork(server: Any, worker: Any) -> None:
    """Keep the collector off what the workers share: its marks would copy every page."""
    contained("workers", _tell_configured, server)
    gc.freeze()


def _tell_configured(server: Any) -> None:
    """How many workers there should be: only the master knows, since TTIN and TTOU change it."""
    from service.wsgi import app

    app.parts.metrics.process.configured(server.num_workers)


def post_fork(server: Any, worker: Any) -> None:
    """Go on with the metrics of whoever had this worker's place before."""
    multiprocess.bind_worker(worker.place)
    worker.early_signals = server.SIG_QUEUE
    worker.lent = server.systemd or any(isinstance(address, int) for address in server.cfg.address)


def post_worker_init(worker: Any) -> None:
    """Judge the keys by the real sockets, and warm the model, before the first connection.

    Raises ModelRefused or RegistryError when what is to be served can't be.
    """
    from service.rollout.joining import join
    from service.wsgi import app

    keys, metrics = app.parts.keys, app.parts.metrics
    contained.count = metrics.count_failure
    worker.log.count_dropped = metrics.count_dropped_lines
    reports.start(_settings, metrics.count_report)
    traces.start(_settings, app.parts.holds_secret)
    bound = [listener.getsockname() for listener in worker.sockets]
    keys.judge(startup.public(bound, _settings))
    for served in app.parts.served:
        counted = metrics.of(served.model.name).scoring
        try:
            served.slot.warm_up()
        except ModelRefused:
            counted.loaded("refused")
            raise
        counted.loaded("loaded")
        served.slot.bind_worker(str(worker.place))
    worker.begin = join(app.parts, worker.place)
    metrics.process.start(str(worker.place))
    worker.each_second = partial(_publish, app.parts)
    scoreboard().mark_ready(worker.place)
    _heed_early_signals(worker)


def _heed_early_signals(worker: Any) -> None:
    """Obey a stop that came before the worker had handlers of its own.

    The master's, which it was forked with, has put it into a copy of the master's queue.
    """
    while not worker.early_signals.empty():
        number = worker.early_signals.get()
        if number in shutdown.STOPS:
            os.kill(os.getpid(), number)


def _publish(parts: "Parts", sockets: list[Any], in_flight: int) -> None:
    """Write what was noted, and look at the keys. A failure must not end the worker."""
    metrics = parts.metrics
    contained("keys", parts.keys.reload_if_changed)
    contained("requests", metrics.http.publish, in_flight)
    contained("stages", metrics.scoring.publish)
    contained("process", metrics.process.publish, sockets)
    contained("files", multiprocess.rewrite_removed)
    for live in parts.slot.served:
        contained("drift", live.behaviour.publish)


def worker_exit(server: Any, worker: Any) -> None:
    """Write the last counts and lines; send the reports and spans that wait, for two seconds."""
    worker.each_second([], 0)
    contained("log", worker.log.lines.flush)
    contained("reports", reports.stop)
    contained("traces", traces.stop)


def child_exit(server: Any, worker: Any) -> None:
    """Free a dead worker's place, and drop its live gauges."""
    from service.wsgi import app

    contained("gauges", multiprocess.clear_live_gauges, worker.place, run_folder.metrics_folder())
    scoreboard().leave(worker.place)
    for served in app.parts.served:
        served.whiteboard.wipe(worker.place)
    contained("workers", _tell_configured, server)
