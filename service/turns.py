"""What is to be done at the end of the event loop's present turn."""

from collections.abc import Callable
from typing import Any

from gevent import get_hub, getcurrent


def after_the_sockets() -> None:
    """Go on when all sockets that are ready by then have been served.

    `gevent.sleep(0)` is too little: it is a callback of the loop, of which fifty are run, however
    long each takes, before the sockets are looked at.
    """
    hub: Any = get_hub()
    timer = hub.loop.timer(0.0, priority=hub.loop.MINPRI)
    # By the loop's own clock: by a later one it would be the turn after that, a millisecond on.
    timer.start(getcurrent().switch, update=False)
    try:
        hub.switch()
    finally:
        timer.close()


class EndOfTurn:
    """Calls a function after all sockets that are ready in this turn of the loop.

    A timer of least priority and no delay comes after the turn's sockets. The loop's
    callbacks would come before them, again and again: a client whose next request is there
    at once would then be served for as long as it likes, and others starve.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._timer: Any = None

    def wait(self) -> None:
        """Call the function when this turn ends."""
        if self._timer is None:  # not in __init__: the master has no loop, its workers have
            loop: Any = get_hub().loop
            self._timer = loop.timer(0.0, priority=loop.MINPRI)
        self._timer.start(self._function, update=False)
