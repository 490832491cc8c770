"""The begin of a stop: no longer ready, but still serving until balancers have seen it."""

import os
import queue
import signal
from functools import partial
from time import monotonic
from typing import Any, Final, NoReturn

from service.process.scoreboard import scoreboard

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def hold_over_forks() -> None:
    """In the master: let a stop wait until the worker that is told has been born.

    Python forgets the signals that reach a child before its first line.
    """
    hold = partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOPS)
    go_on = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOPS)
    os.register_at_fork(before=hold, after_in_parent=go_on, after_in_child=go_on)


def stop(server: Any, seconds: float) -> NoReturn:
    """In the master, instead of gunicorn's own reaction to TERM: wait, then stop as it does.

    Workers see it on the scoreboard: /readyz turns 503, and each reply closes its connection. A
    second signal ends the wait.
    """
    scoreboard().begin_stop()
    if seconds:
        server.log.info("Draining for %d s", seconds)
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0 and not _is_hurried(server, left):
        pass
    raise StopIteration


def refuse_upgrade(server: Any) -> None:
    """In the master, instead of gunicorn's own reaction to USR2: a second master beside this one.

    Started as a script, it would take gunicorn's folder for the library and die with a traceback;
    and the last worker of this one would close the socket for both.
    """
    server.log.warning(
        "USR2 is not obeyed: start another version beside this one, behind the edge, and end this"
    )


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
