"""The begin of a stop: no longer ready, but still serving until balancers have seen it."""

import queue
import signal
from time import monotonic
from typing import Any, Final, NoReturn

from service.board import board

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def stop(server: Any, seconds: float) -> NoReturn:
    """In the master, instead of gunicorn's own reaction to TERM: wait, then stop as it does.

    Workers see it on the board: /readyz turns 503, and each reply closes its connection. A
    second signal ends the wait.
    """
    board().begin_stop()
    if seconds:
        server.log.info("Draining for %d s", seconds)
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0 and not _is_hurried(server, left):
        pass
    raise StopIteration


def _is_hurried(server: Any, seconds: float) -> bool:
    try:
        number = server.SIG_QUEUE.get(timeout=seconds)
    except queue.Empty:
        return False
    if number == signal.SIGCHLD:
        # All is still served: a worker that dies now is replaced as ever.
        server.reap_workers()
        server.manage_workers()
    return number in STOPS
