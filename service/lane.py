"""Some slots, and a room of requests that wait for one, first come first served."""

from time import monotonic
from typing import Final

from gevent.lock import Semaphore

# What a wait counts for when the next is over.
_FORGET: Final = 0.98
# A pace that nobody's wait has confirmed for so long is none: who is refused by it can't refute it.
_FRESH_SECONDS: Final = 1.0


class Lane:
    """Bounded in three ways: how many are in it, how many wait, and their bytes."""

    def __init__(self, slots: int, room: int, room_bytes: int) -> None:
        """`room_bytes` is for all bodies in it together; one alone may be of any size."""
        self._semaphore = Semaphore(slots)
        self._room = room
        self._room_bytes = room_bytes
        self._bytes = 0
        self._waiting = 0
        # What the last ones waited, and behind how many: their quotient is the pace.
        # Those who wait for one batch get their slots together, so the first alone tells little.
        self._slots = float(slots)
        self._waited, self._places = 0.0, self._slots
        self._noted = -_FRESH_SECONDS

    @property
    def taken(self) -> bool:
        """Whether a newcomer would have to wait: a slot that is just free is for who waits."""
        return self._waiting > 0 or self._semaphore.locked()

    @property
    def fullness(self) -> float:
        """The share of the room that is taken."""
        return self._waiting / max(self._room, 1)

    @property
    def wait_ahead(self) -> float:
        """Seconds that a newcomer will wait, by the pace of those before."""
        if not self.taken or not self._is_fresh:
            return 0.0
        return (self._waiting + 1) * self._waited / self._places

    def is_full_for(self, size: int) -> bool:
        """Whether a body of so many bytes would find no place, neither a slot nor in the room."""
        if self._waiting >= self._room and self.taken:
            return True
        return self._bytes > 0 and self._bytes + size > self._room_bytes

    def enter(self, size: int) -> None:
        """Take a slot for a body of so many bytes, after all who came before."""
        self._bytes += size
        if not self.taken:
            self._semaphore.acquire()
            return
        self._waiting += 1
        place, began = self._waiting, monotonic()
        try:
            self._semaphore.acquire()
        except BaseException:  # its connection was ended meanwhile
            self._bytes -= size
            raise
        finally:
            self._waiting -= 1
        self._note(place, monotonic() - began)

    def leave(self, size: int) -> None:
        """Give the slot back."""
        self._bytes -= size
        self._semaphore.release()

    @property
    def _is_fresh(self) -> bool:
        return monotonic() - self._noted < _FRESH_SECONDS

    def _note(self, place: int, waited: float) -> None:
        # After a calm, all that was learnt before counts as much as one batch.
        keep = _FORGET if self._is_fresh else min(_FORGET, self._slots / self._places)
        self._waited = keep * self._waited + waited
        self._places = keep * self._places + place
        self._noted = monotonic()
