"""gunicorn's hooks of the AMQP workers: those of the scoring processes, with another start."""

from types import MappingProxyType
from typing import Any, Final

from service.process import shutdown, startup
from service.process.hooks import (
    child_exit,
    post_fork,
    post_worker_init,
    pre_fork,
    when_ready,
    worker_exit,
)
from service.runtime import runtime

__all__ = [
    "child_exit",
    "on_starting",
    "post_fork",
    "post_worker_init",
    "pre_fork",
    "when_ready",
    "worker_exit",
]

WORKER: Final = "service.amqp.worker.AmqpWorker"
_KIND: Final = startup.Kind(
    MappingProxyType({"worker_class": WORKER, "logger_class": startup.LOGGER}), prefix="worker_"
)


def on_starting(server: Any) -> None:
    """In the master: check the final configuration, before anything listens."""
    startup.prepare(server, runtime(), _KIND)
    shutdown.hold_signals_over_forks()
