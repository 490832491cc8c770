"""gunicorn's process settings and hooks, nothing else.

Run by `python -m service`, or by gunicorn itself: `gunicorn -c service/gunicorn.conf.py`.
"""

import gc
import sys
from typing import Any

from gunicorn.arbiter import Arbiter

from model import ModelRefused
from service import cpus, workdir
from service.board import board
from service.settings import (
    Settings,
    SettingsError,
    export_for_libraries,
    of_this_server,
    stop,
    unknown_variables,
    variable,
)


def _load() -> Settings:
    try:
        return of_this_server()
    except SettingsError as error:
        stop(error)


_settings = _load()
# Made before the first fork, so that all workers see it.
board()
# Before anything imports prometheus_client or numpy.
export_for_libraries(workdir.metrics_folder())

wsgi_app = "service.wsgi:app"
bind = _settings.bind
workers = _settings.workers or cpus.available()
worker_class = "service.worker.ScoringWorker"
logger_class = "service.logs.JsonLogger"
loglevel = _settings.log_level
accesslog = "-"
keepalive = _settings.keepalive
graceful_timeout = _settings.graceful_timeout
# Libraries and model are loaded once and shared; a lost worker is replaced by a fork.
preload_app = True
# Heartbeats on a disk can stall with it, and the arbiter then kills a healthy worker.
worker_tmp_dir = workdir.memory() and str(workdir.memory())
# Its default place is in $HOME, which a read-only container does not have.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Check what only gunicorn knows: the addresses that it will really listen on."""
    from service.auth import KeyRing

    for name in unknown_variables():
        server.log.warning("%s is not a setting: nothing reads it", name)
    try:
        for address in server.cfg.address:
            KeyRing(_settings).judge([address], strict=True)
    except SettingsError as error:
        stop(error)


def pre_fork(server: Any, worker: Any) -> None:
    """Keep the collector off what the workers share: its marks would copy every page."""
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Judge the keys by the real sockets, and warm the model, before the first connection."""
    from service.wsgi import keys, slot

    keys.judge([listener.getsockname() for listener in worker.sockets])
    try:
        slot.warm_up()
    except ModelRefused as reason:
        worker.log.critical("%s: the model is refused: %s", variable("model"), str(reason))
        sys.exit(Arbiter.WORKER_BOOT_ERROR)  # which tells the arbiter not to try again


def child_exit(server: Any, worker: Any) -> None:
    """Free a dead worker's place, and drop its live gauges."""
    from prometheus_client import multiprocess

    board().leave(worker.place)
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
