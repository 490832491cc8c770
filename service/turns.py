"""What is to be done once, at the end of the event loop's present turn."""

from collections.abc import Callable
from typing import Any

from gevent import get_hub


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
