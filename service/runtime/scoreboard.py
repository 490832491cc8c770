"""The scoreboard: the state of each worker, in memory that all processes of the server share.

The master creates it before the first fork, assigns each worker a place on it, and frees the place
when the worker has ended.
"""

import mmap
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_VACANT: Final = -1
_CLOSED: Final = -2
_INT: Final = 4
# More than a server has workers, including the two generations during a reload.
PLACES: Final = 128


class Scoreboard:
    """One place for each worker, holding the number of its open connections."""

    def __init__(self, places: int) -> None:
        self._stopping = mmap.mmap(-1, 1)
        # The same as `stopping`, called for each reply: without a line of Python.
        self.drains: Callable[[], int] = partial(self._stopping.__getitem__, 0)
        self._ready = mmap.mmap(-1, places)
        self._connections = memoryview(mmap.mmap(-1, places * _INT)).cast("i")
        for place in range(places):
            self._connections[place] = _VACANT

    def take(self) -> int:
        """Take a vacant place; the last place is shared if all are taken."""
        last = len(self._connections) - 1
        place = next((i for i, n in enumerate(self._connections) if n == _VACANT), last)
        self._connections[place] = 0
        self._ready[place] = 0
        return place

    def mark_ready(self, place: int) -> None:
        """Mark a worker as booted and ready to serve."""
        self._ready[place] = 1

    def is_ready(self, place: int) -> bool:
        """Whether the worker at a place has booted."""
        return self._ready[place] != 0

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun: the server still serves, but reports not to be ready."""
        return bool(self.drains())

    def begin_stop(self) -> None:
        """Mark the start of a stop, for all workers."""
        self._stopping[0] = 1

    def leave(self, place: int) -> None:
        """Make a place vacant."""
        self._connections[place] = _VACANT

    def publish(self, place: int, connections: int) -> None:
        """Publish the number of open connections of a worker, unless it is closed."""
        if self._connections[place] != _CLOSED:
            self._connections[place] = connections

    def close(self, place: int) -> None:
        """Mark a worker as accepting no more: the others leave no connections to it."""
        self._connections[place] = _CLOSED

    def open_places(self) -> list[int]:
        """The places of the workers that accept connections, starting ones included."""
        return [place for place, n in enumerate(self._connections) if n >= 0]

    def least(self, place: int) -> int | None:
        """The fewest connections that another open worker has; None if there is no other."""
        everyone = self._connections.tolist()
        everyone[place] = _VACANT
        return min((n for n in everyone if n >= 0), default=None)
