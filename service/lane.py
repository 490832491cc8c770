"""Some slots, and a room of requests that wait for one, first come first served."""

from collections import deque
from time import monotonic
from typing import Final

from gevent.event import Event

# What a wait counts for when the next is over.
_FORGET: Final = 0.98
# A pace that nobody's wait has confirmed for so long is none: who is refused by it can't refute it.
_FRESH_SECONDS: Final = 1.0


class Lane:
    """Bounded in three ways: how many are in it, how many wait, and their bytes.

    A slot is handed to who waits longest. A semaphore only wakes it: whoever asks in the same
    turn of the event loop, as the one does that has just left, would take the slot before it.
    """

    def __init__(self, slots: int, room: int, room_bytes: int) -> None:
        """`room_bytes` is for all bodies in it together; one alone may be of any size."""
        self._free = slots
        self._room = room
        self._room_bytes = room_bytes
        self._bytes = 0
        self._queue: deque[Event] = deque()
        # What the last ones waited, and behind how many: their quotient is the pace.
        # Those who wait for one batch get their slots together, so the first alone tells little.
        self._slots = float(slots)
        self._waited, self._places = 0.0, self._slots
        self._noted = -_FRESH_SECONDS

    @property
    def taken(self) -> bool:
        """Whether a newcomer would have to wait: while anybody does, no slot is free."""
        return self._free == 0

    @property
    def fullness(self) -> float:
        """The share of the room that is taken."""
        return len(self._queue) / max(self._room, 1)

    @property
    def wait_ahead(self) -> float:
        """Seconds that a newcomer will wait, by the pace of those before."""
        if not self.taken or not self._is_fresh:
            return 0.0
        return (len(self._queue) + 1) * self._waited / self._places

    def is_full_for(self, size: int) -> bool:
        """Whether a body of so many bytes would find no place, neither a slot nor in the room."""
        if len(self._queue) >= self._room and self.taken:
            return True
        return self._bytes > 0 and self._bytes + size > self._room_bytes

    def enter(self, size: int) -> None:
        """Take a slot for a body of so many bytes, after all who came before."""
        self._bytes += size
        if self._free:
            self._free -= 1
            return
        turn, began = Event(), monotonic()
        self._queue.append(turn)
        place = len(self._queue)
        try:
            turn.wait()
        except BaseException:  # its connection was ended meanwhile
            if turn.is_set():
                self.leave(size)
            else:
                self._queue.remove(turn)
                self._bytes -= size
            raise
        self._note(place, monotonic() - began)

    def leave(self, size: int) -> None:
        """Hand the slot to the next."""
        self._bytes -= size
        if self._queue:
            self._queue.popleft().set()
        else:
            self._free += 1

    @property
    def _is_fresh(self) -> bool:
        return monotonic() - self._noted < _FRESH_SECONDS

    def _note(self, place: int, waited: float) -> None:
        # After a calm, all that was learnt before counts as much as one batch.
        keep = _FORGET if self._is_fresh else min(_FORGET, self._slots / self._places)
        self._waited = keep * self._waited + waited
        self._places = keep * self._places + place
        self._noted = monotonic()
