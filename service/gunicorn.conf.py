"""gunicorn's process settings and hooks, nothing else.

Run by `python -m service`, or by gunicorn itself: `gunicorn -c service/gunicorn.conf.py`.
"""

import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from gunicorn.arbiter import Arbiter

from model import ModelRefused
from service import cpus, draining, workdir
from service.board import board
from service.reports import reports
from service.settings import (
    Settings,
    SettingsError,
    export_for_libraries,
    of_this_server,
    stop,
    unknown_variables,
    variable,
)
from service.swap.whiteboard import whiteboard
from service.traces import traces

if TYPE_CHECKING:
    from service.slots import Slot


def _load() -> Settings:
    try:
        settings = of_this_server()
        workdir.metrics_folder()
        reports.preload(settings)
        traces.preload(settings)
    except SettingsError as error:
        stop(error)
    return settings


_settings = _load()
# Made before the first fork, so that all workers see them.
board()
whiteboard()
# Before anything imports prometheus_client or numpy.
export_for_libraries(workdir.metrics_folder())

from service.metrics import Metrics, places  # noqa: E402 - see above

places.use_places()

wsgi_app = "service.wsgi:app"
bind = _settings.binds
workers = _settings.workers or cpus.available()
worker_class = "service.worker.ScoringWorker"
logger_class = "service.logs.ServerLogger"
loglevel = _settings.log_level
accesslog = "-"
keepalive = _settings.keepalive
graceful_timeout = _settings.graceful_timeout
# No header of a client may say which part of its path is ours: SCRIPT_NAME could, by default.
forwarder_headers = ""
# Libraries and model are loaded once and shared; a lost worker is replaced by a fork.
preload_app = True
# Heartbeats on a disk can stall with it, and the arbiter then kills a healthy worker.
worker_tmp_dir = str(workdir.metrics_folder().parent)
# Its default place is in $HOME, which a read-only container does not have.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Check what only gunicorn knows: the addresses that it will really listen on."""
    from service.auth import KeyRing

    for name in unknown_variables():
        server.log.warning("%s is not a setting: nothing reads it", name)
    try:
        KeyRing(_settings).judge(_public(server.cfg.address), strict=True)
    except SettingsError as error:
        stop(error)
    draining.hold_over_forks()


def when_ready(server: Any) -> None:
    """Let a stop begin with the readiness, and do not upgrade: gunicorn looks these up by name."""
    server.handle_term = partial(draining.stop, server, _settings.drain_seconds)
    server.handle_usr2 = partial(draining.refuse_upgrade, server)


def _public(addresses: list[Any]) -> list[Any]:
    """The addresses at which keys are asked for."""
    return [address for address in addresses if address[:2] != _settings.metrics_address]


def pre_fork(server: Any, worker: Any) -> None:
    """Keep the collector off what the workers share: its marks would copy every page."""
    _tell_configured(server)
    gc.freeze()


def _tell_configured(server: Any) -> None:
    """How many workers there should be: only the master knows, since TTIN and TTOU change it."""
    from service.wsgi import app

    app.extensions["metrics"].vitals.configured(server.num_workers)


def post_fork(server: Any, worker: Any) -> None:
    """Go on with the metrics of whoever had this worker's place before."""
    places.take(worker.place, workdir.metrics_folder())
    worker.early_signals = server.SIG_QUEUE
    worker.lent = server.systemd or any(isinstance(address, int) for address in server.cfg.address)


def post_worker_init(worker: Any) -> None:
    """Judge the keys by the real sockets, and warm the model, before the first connection."""
    from service.swap.joining import join
    from service.wsgi import app, keys, slot

    metrics: Metrics = app.extensions["metrics"]
    reports.start(_settings, metrics.count_report)
    traces.start(_settings, app)
    keys.judge(_public([listener.getsockname() for listener in worker.sockets]))
    try:
        slot.warm_up()
    except ModelRefused as reason:
        metrics.scoring.loaded("refused")
        worker.log.critical("%s: the model is refused: %s", variable("model"), str(reason))
        sys.exit(Arbiter.WORKER_BOOT_ERROR)  # which tells the arbiter not to try again
    metrics.scoring.loaded("loaded")
    slot.serve_as(str(worker.place))
    join(_settings, slot, metrics, app.extensions["admission"], worker.place)
    metrics.vitals.start(str(worker.place))
    worker.each_second = partial(_publish, metrics, slot)
    _heed_early_signals(worker)


def _heed_early_signals(worker: Any) -> None:
    """Obey a stop that came before the worker had handlers of its own.

    The master's, which it was forked with, has put it into a copy of the master's queue.
    """
    while not worker.early_signals.empty():
        number = worker.early_signals.get()
        if number in draining.STOPS:
            os.kill(os.getpid(), number)


def _publish(metrics: Metrics, slot: "Slot", sockets: list[Any]) -> None:
    metrics.publish(sockets)
    slot.publish()


def worker_exit(server: Any, worker: Any) -> None:
    """Write the last counts and lines; send the reports and spans that wait, for two seconds."""
    worker.each_second([])
    worker.log.lines.flush()
    reports.stop()
    traces.stop()


def child_exit(server: Any, worker: Any) -> None:
    """Free a dead worker's place, and drop its live gauges."""
    places.leave(worker.place)
    board().leave(worker.place)
    whiteboard().wipe(worker.place)
    _tell_configured(server)
