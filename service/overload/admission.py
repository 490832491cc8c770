"""Which requests are admitted under load: few wait at a time, and none beyond its deadline.

Single rows wait for the next batch, in order of arrival. A request is rejected at once if too many
rows wait, or if its expected wait exceeds its time: a late reply is wasted work, and delays all
others. Arrays are scored one at a time, concurrently with the single rows, and are rejected first.
"""

from asyncio import CancelledError, Future, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import Final

from service.config.settings import Settings

# Rows of single requests in one call of the model: more would hardly make a row cheaper, but delay
# all of them.
BATCH: Final = 128
# Beyond this many bytes a body counts as an array, whatever it is: a single row has 500-900.
ARRAY_BYTES: Final = 2048
# Arrays are rejected once single rows have filled this share of their room, or of their time.
_GIVE_WAY: Final = 0.25
# An array may wait as long as a single row, or as long as so many arrays of its own size take: its
# sender has to wait for many rows anyway.
_ARRAY_PATIENCE: Final = 2.0
# Scoring takes about so long for a byte of an array, until it has been measured.
_SECONDS_A_BYTE: Final = 3e-8
# The last array makes a tenth of what is expected of the next. A rejection lowers the estimate by
# a fiftieth: nothing else would correct one by which all are rejected.
_LEARN: Final = 0.1
_DOUBT: Final = 0.98
# Bounds of what is learnt: shorter arrays show mostly overhead; a pause of the machine counts at
# most as so many times the expected time; no array is faster.
_MEASURED_BYTES: Final = 64 * 1024
_AT_MOST: Final = 4
_FASTEST: Final = _SECONDS_A_BYTE / 8
# The last batch makes so much of what is expected of the next.
_PACE: Final = 0.3

# Why a request is rejected: too many wait; the wait would exceed its time; an array while single
# rows wait; an explanation while any request waits;
# decisions must be kept, and the spool takes none.
FULL, DEADLINE, ARRAY, EXPLAIN = "full", "deadline", "array", "explain"
DECISIONS: Final = "decisions"
TEXTS: Final = {
    FULL: "too many requests are waiting",
    DEADLINE: "this request could not be answered in time",
    ARRAY: "arrays give way to single rows now",
    EXPLAIN: "explanations give way to scores now",
    DECISIONS: "decisions can't be kept now",
}
SHED_REASONS: Final = tuple(TEXTS)


class Overloaded(Exception):
    """A request that is rejected, for one of the reasons of `TEXTS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(TEXTS[reason])
        self.reason = reason


class Admission:
    """Admits requests, or rejects them.

    `waiting` is how many rows of single requests wait for a batch; the batcher keeps it up to date.
    """

    def __init__(self, settings: Settings, shed: Callable[[str], None]) -> None:
        """`shed` is given the reason of each rejection."""
        self.waiting = 0
        self._shed = shed
        self._patience = settings.max_wait_ms / 1000
        self._room = settings.max_waiting
        self._batch_seconds = 0.0
        self._array_runs = False
        self._array_line: deque[Future[None]] = deque()
        self._array_bytes = 0
        self._seconds_a_byte = _SECONDS_A_BYTE

    @property
    def crowded(self) -> bool:
        """Whether requests have to wait now: work that no client awaits should pause."""
        return self.waiting >= BATCH or self._array_runs

    def overloaded(self, reason: str) -> Overloaded:
        """The rejection of a request; it is counted."""
        self._shed(reason)
        return Overloaded(reason)

    def check_head(self, size: int) -> None:
        """Raise Overloaded if a body of so many bytes would be rejected, however patient."""
        if size <= ARRAY_BYTES:
            if self.waiting >= BATCH:
                self.check_single(None)
        elif self._array_runs or self.waiting >= BATCH:
            self.check_array(size, None)

    def check(self, size: int, seconds: float | None) -> float:
        """Until when, by `monotonic`, it makes sense to score a body of so many bytes.

        `seconds` are what the caller gives, from now on. Raises Overloaded.
        """
        if size > ARRAY_BYTES:
            return self.check_array(size, seconds)
        return self.check_single(seconds)

    def check_single(self, seconds: float | None) -> float:
        """Until when, by `monotonic`, it makes sense to score one row.

        `seconds` are what the caller gives, from now on. Raises Overloaded.
        """
        if self.waiting < BATCH and seconds is None:
            return inf
        patience = self._patience if seconds is None else seconds
        if self.waiting >= BATCH + self._room:
            raise self.overloaded(FULL)
        if self._wait_ahead > patience:
            self._batch_seconds *= _DOUBT
            raise self.overloaded(DEADLINE)
        return monotonic() + patience

    def batch_took(self, seconds: float) -> None:
        """A batch of rows that had to wait for another came so long after that one."""
        self._batch_seconds += _PACE * (seconds - self._batch_seconds)

    @property
    def _wait_ahead(self) -> float:
        """Seconds that one more row will wait beyond the next batch."""
        return self.waiting // BATCH * self._batch_seconds

    def check_array(self, size: int, seconds: float | None) -> float:
        """The same for an array of so many bytes."""
        takes = size * self._seconds_a_byte
        patience = max(self._patience, _ARRAY_PATIENCE * takes)
        if seconds is not None:
            patience = seconds - takes
        if self._gives_way:
            raise self.overloaded(ARRAY)
        if self._array_runs and len(self._array_line) >= self._room:
            raise self.overloaded(FULL)
        if self._array_bytes * self._seconds_a_byte > patience:
            if size >= _MEASURED_BYTES:
                self._seconds_a_byte = max(_FASTEST, _DOUBT * self._seconds_a_byte)
            raise self.overloaded(DEADLINE)
        return monotonic() + patience

    @property
    def _gives_way(self) -> bool:
        many = self.waiting >= BATCH + _GIVE_WAY * self._room
        return many or self._wait_ahead > _GIVE_WAY * self._patience

    @asynccontextmanager
    async def array(self, size: int, latest: float) -> AsyncIterator[None]:
        """The turn of an array of so many bytes. Raises Overloaded if it has none by `latest`."""
        self._array_bytes += size
        try:
            await self._array_turn(latest)
            began = monotonic()
            try:
                if began > latest:
                    raise self.overloaded(DEADLINE)
                yield
                self._measure(size, monotonic() - began)
            finally:
                self._next_array()
        finally:
            self._array_bytes -= size

    async def _array_turn(self, latest: float) -> None:
        if not self._array_runs:
            self._array_runs = True
            return
        loop = get_running_loop()
        turn = loop.create_future()
        self._array_line.append(turn)
        expiry = loop.call_later(latest - monotonic(), self._expire, turn)
        try:
            await turn
        except CancelledError:
            if turn in self._array_line:
                self._array_line.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._next_array()
            raise
        finally:
            expiry.cancel()

    def _expire(self, turn: "Future[None]") -> None:
        """Reject an array whose time is over before its turn."""
        if not turn.done():
            self._array_line.remove(turn)
            turn.set_exception(self.overloaded(DEADLINE))

    def _next_array(self) -> None:
        """Hand the turn to the array that has waited longest."""
        while self._array_line:
            turn = self._array_line.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._array_runs = False

    def _measure(self, size: int, seconds: float) -> None:
        if size >= _MEASURED_BYTES:
            known = self._seconds_a_byte
            took = min(seconds / size, _AT_MOST * known)
            self._seconds_a_byte = max(_FASTEST, known + _LEARN * (took - known))
