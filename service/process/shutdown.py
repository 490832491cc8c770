"""The start of a stop: the server reports not to be ready, but serves until balancers notice."""

import os
import queue
import signal
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn

from service.runtime.scoreboard import Scoreboard

if TYPE_CHECKING:
    from service.process.master import Master

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def hold_signals_over_forks() -> None:
    """In the master: delay a stop until a fork that has begun is complete.

    Python loses the signals that reach a child before its first line.
    """
    hold = partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOPS)
    go_on = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOPS)
    os.register_at_fork(before=hold, after_in_parent=go_on, after_in_child=go_on)


def obey_early_signals(worker: Any) -> None:
    """In a worker: obey a stop that came before it had handlers of its own.

    The master's handlers, which it was forked with, put it into a copy of the master's queue.
    """
    while not worker.early_signals.empty():
        number = worker.early_signals.get()
        if number in STOPS:
            os.kill(os.getpid(), number)


def drain(server: "Master", scoreboard: Scoreboard, seconds: float) -> NoReturn:
    """In the master, instead of gunicorn's own reaction to TERM: wait, then stop as it does.

    Workers read the scoreboard: /readyz turns 503, and each reply closes its connection. A second
    signal ends the wait.
    """
    scoreboard.begin_stop()
    if seconds:
        server.log.info("Draining for %d s", seconds)
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0 and not _is_second_stop(server, left):
        pass
    raise StopIteration


def refuse_upgrade(server: "Master") -> None:
    """In the master, instead of gunicorn's own reaction to USR2, which starts a second master.

    Started as a script, that would import gunicorn's folder as the library and fail; and the last
    worker of this one would close the socket for both.
    """
    server.log.warning(
        "USR2 is ignored: start the other version as a second server behind the edge"
    )


def _is_second_stop(server: "Master", seconds: float) -> bool:
    try:
        number = server.SIG_QUEUE.get(timeout=seconds)
    except queue.Empty:
        return False
    if number == signal.SIGCHLD:
        # The server still serves: a worker that dies now is replaced as usual.
        server.reap_workers()
        server.manage_workers()
    return number in STOPS
