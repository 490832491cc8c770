"""The workers' scoreboard: what each worker of this server lets the others see, in shared memory.

The master makes it before the first fork, gives each worker a place on it, and takes the
place back when the worker is gone.
"""

import mmap
from functools import cache, partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_VACANT: Final = -1
_CLOSED: Final = -2
_INT: Final = 4
# More than a server has workers, the two generations that a reload overlaps included.
PLACES: Final = 128


class Scoreboard:
    """One place for each worker, holding the number of its open connections."""

    def __init__(self, places: int) -> None:
        self._stopping = mmap.mmap(-1, 1)
        # The same as `stopping`, for each reply: a call without a line of Python.
        self.drains: Callable[[], int] = partial(self._stopping.__getitem__, 0)
        self._ready = mmap.mmap(-1, places)
        self._connections = memoryview(mmap.mmap(-1, places * _INT)).cast("i")
        for place in range(places):
            self._connections[place] = _VACANT

    def take(self) -> int:
        """A vacant place; the last one is shared when there is none left."""
        last = len(self._connections) - 1
        place = next((i for i, n in enumerate(self._connections) if n == _VACANT), last)
        self._connections[place] = 0
        self._ready[place] = 0
        return place

    def mark_ready(self, place: int) -> None:
        """Show the master that this worker has booted and can serve."""
        self._ready[place] = 1

    def is_ready(self, place: int) -> bool:
        """Whether the worker at a place has booted."""
        return self._ready[place] != 0

    @property
    def stopping(self) -> bool:
        """Whether the server is about to stop: it still serves, but is no longer ready."""
        return bool(self.drains())

    def begin_stop(self) -> None:
        """Tell all workers that the server is about to stop."""
        self._stopping[0] = 1

    def leave(self, place: int) -> None:
        """Make a place vacant."""
        self._connections[place] = _VACANT

    def publish(self, place: int, connections: int) -> None:
        """Tell the others how many connections are open here."""
        if self._connections[place] != _CLOSED:
            self._connections[place] = connections

    def close(self, place: int) -> None:
        """Tell the others that this worker takes no more: none shall leave connections to it."""
        self._connections[place] = _CLOSED

    def open_places(self) -> list[int]:
        """The places of the workers that take connections, or will: they are starting."""
        return [place for place, n in enumerate(self._connections) if n >= 0]

    def least(self, place: int) -> int | None:
        """The fewest connections that another open worker has; None if there is no other."""
        everyone = self._connections.tolist()
        everyone[place] = _VACANT
        return min((n for n in everyone if n >= 0), default=None)


@cache
def scoreboard() -> Scoreboard:
    """The one scoreboard of this server; a reload of its configuration keeps it."""
    return Scoreboard(PLACES)
