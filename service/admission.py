"""Who is let in under load: few at a time, few that wait, and nobody for whom it is too late.

A worker scores some requests at once, which fill a batch; others wait in a room, first come
first served. Who finds the room full, or would wait longer than it has time, is refused at
once with 429: a reply that comes too late is work for nothing, and makes all others late.
Arrays have a slot and a room of their own, and give way as soon as single rows wait.
"""

from collections.abc import Callable, Mapping
from random import choice
from time import monotonic, time
from typing import Any, Final

from service.errors import Refused
from service.lane import Lane
from service.metrics.http import SHED_REASONS
from service.settings import Settings

# Where the worker puts the moment at which its turn of the event loop saw the request's bytes.
SEEN: Final = "scoring.seen"

# Enough to fill a batch. More at once would only make each turn of the event loop longer, and
# with it the time until somebody new is looked at: half a millisecond for each.
_SLOTS: Final = 32
# An array is scored in slices, between which single rows have their turn: two at once would
# make them wait for two slices.
_ARRAY_SLOTS: Final = 1
# Beyond this many bytes a body counts as an array, whatever it is: a single row has 500-900.
ARRAY_BYTES: Final = 2048
# Arrays are refused once single rows have filled this share of their room, or of their time.
_GIVE_WAY: Final = 0.25
# An array may wait as long as a single row, or as long as so many of its own size take: who sends
# many rows at once waits for them anyway.
_ARRAY_PATIENCE: Final = 2.0
# Arrays that wait hold memory: together as much as so many of the greatest, or one of any size.
_LARGEST_WAITING: Final = 2
# Scoring takes about so long for a byte of an array, until it has been measured.
_SECONDS_A_BYTE: Final = 1.2e-7
# The last array is a tenth of what is thought of the next; a refusal shakes it by a fiftieth.
_LEARN: Final = 0.1
_DOUBT: Final = 0.98
# Bounds of what is learnt: in shorter arrays, what they take beside their bytes shows; one moment
# in which the machine stood still counts as so many times what was expected; none is so fast.
_TELLING_BYTES: Final = 64 * 1024
_AT_MOST: Final = 4
_FASTEST: Final = _SECONDS_A_BYTE / 8
_LONGEST_MS: Final = 600_000
_DIGITS: Final = 7
# Of a clock beside ours: a start in the future, or longer ago, tells nothing.
_OLDEST_START: Final = 60.0
_RETRY_SECONDS: Final = ("1", "2", "3")

FULL, DEADLINE, ARRAY, EXPLAIN = SHED_REASONS
TEXTS: Final = {
    FULL: "too many requests are waiting",
    DEADLINE: "this request could not be answered in time",
    ARRAY: "arrays give way to single rows now",
    EXPLAIN: "explanations give way to scores now",
}


class Admission:
    """Lets requests in, or refuses them with 429 and a word on when to come again."""

    def __init__(self, settings: Settings, shed: Callable[[str], None]) -> None:
        """`shed` is told the reason of each refusal."""
        self._shed = shed
        self._patience = settings.max_wait_ms / 1000
        room = settings.max_waiting
        self._singles = Lane(_SLOTS, room, (_SLOTS + room) * ARRAY_BYTES)
        self._arrays = Lane(_ARRAY_SLOTS, room, _LARGEST_WAITING * settings.max_array_body)
        self._seconds_a_byte = _SECONDS_A_BYTE

    @property
    def busy(self) -> bool:
        """Whether anybody might be refused."""
        return self._singles.taken or self._arrays.taken

    @property
    def crowded(self) -> bool:
        """Whether anybody waits: time to leave undone what no caller waits for."""
        return self._singles.fullness > 0 or self._arrays.fullness > 0

    def closed_to(self, size: int) -> str | None:
        """Why a body of so many bytes would be refused now, however patient its client is."""
        single = size <= ARRAY_BYTES
        if not single and self._give_way():
            return ARRAY
        lane = self._singles if single else self._arrays
        if lane.is_full_for(size):
            return FULL
        return DEADLINE if lane.wait_ahead > self._patience_of(size) else None

    def check(self, environ: Mapping[str, Any], size: int) -> "Ticket":
        """A ticket for a body of so many bytes. Raises Refused when it can't be used in time.

        Raises Refused with 400 when the client's deadline can't be read.
        """
        lane, patience = self._lane(size), self._patience_before(environ, size)
        reason = self.closed_to(size)
        if reason is None and lane.wait_ahead > patience:
            reason = DEADLINE
            if size >= _TELLING_BYTES:
                # Nobody would ever show that an estimate is wrong if all were refused by it.
                self._seconds_a_byte = max(_FASTEST, _DOUBT * self._seconds_a_byte)
        if reason is not None:
            raise self.refusal(reason)
        return Ticket(self, lane, monotonic() + patience, size)

    def refusal(self, reason: str) -> Refused:
        """The reply to one that is not let in; it is counted."""
        self.count(reason)
        return Refused(429, TEXTS[reason], {"Retry-After": retry_after()})

    def count(self, reason: str) -> None:
        """Note that a request was refused."""
        self._shed(reason)

    def measured(self, size: int, seconds: float) -> None:
        """An array of so many bytes had a slot for so long."""
        if size >= _TELLING_BYTES:
            known = self._seconds_a_byte
            took = min(seconds / size, _AT_MOST * known)
            self._seconds_a_byte = max(_FASTEST, known + _LEARN * (took - known))

    def _lane(self, size: int) -> Lane:
        return self._singles if size <= ARRAY_BYTES else self._arrays

    def _patience_of(self, size: int) -> float:
        if size <= ARRAY_BYTES:
            return self._patience
        return max(self._patience, _ARRAY_PATIENCE * size * self._seconds_a_byte)

    def _patience_before(self, environ: Mapping[str, Any], size: int) -> float:
        """The seconds from now within which it makes sense to begin."""
        given = timeout_of(environ)
        if given is None:
            # For the wait alone, not for a body that comes slowly, nor by an edge's clock: where
            # that is slow by as much, all would be refused.
            return self._patience_of(size)
        takes = size * self._seconds_a_byte if size > ARRAY_BYTES else 0.0
        return given - _age(environ) - takes

    def _give_way(self) -> bool:
        singles = self._singles
        return singles.fullness > _GIVE_WAY or singles.wait_ahead > _GIVE_WAY * self._patience


class Ticket:
    """One request's place in a lane: a context that waits for a slot, and gives it back."""

    __slots__ = ("_admission", "_began", "_lane", "_latest", "_size")

    def __init__(self, admission: Admission, lane: Lane, latest: float, size: int) -> None:
        """`latest` is the moment, of the monotonic clock, until which it makes sense to begin."""
        self._admission = admission
        self._lane = lane
        self._latest = latest
        self._size = size
        self._began = 0.0

    def __enter__(self) -> None:
        """Wait for a slot. Raises Refused when it has become too late."""
        self._lane.enter(self._size)
        self._began = monotonic()
        if self._began > self._latest:
            self._lane.leave(self._size)
            raise self._admission.refusal(DEADLINE)

    def __exit__(self, *_: object) -> None:
        """Give the slot to the next."""
        self._lane.leave(self._size)
        if self._size > ARRAY_BYTES:
            self._admission.measured(self._size, monotonic() - self._began)


def retry_after() -> str:
    """When to come again: not all at the same moment."""
    return choice(_RETRY_SECONDS)  # noqa: S311 - no secret


def _age(environ: Mapping[str, Any]) -> float:
    """The seconds since the edge passed the request on; since its head was here, if none says."""
    now = time()
    stated = environ.get("HTTP_X_REQUEST_START", "")
    if stated.startswith("t="):
        try:
            age = now - float(stated[2:])
        except ValueError:
            age = -1.0
        if 0 <= age <= _OLDEST_START:
            return age
    seen: float = environ.get(SEEN, now)
    return now - seen


def timeout_of(environ: Mapping[str, Any]) -> float | None:
    """The seconds that the client gives, None if it does not say.

    Raises Refused with 400 when that can't be read.
    """
    stated = environ.get("HTTP_X_REQUEST_TIMEOUT_MS")
    if stated is None:
        return None
    digits = stated.isascii() and stated.isdigit() and len(stated) <= _DIGITS
    if not (digits and 1 <= int(stated) <= _LONGEST_MS):
        raise Refused(400, f"X-Request-Timeout-Ms must be a whole number of ms, 1 to {_LONGEST_MS}")
    return int(stated) / 1000
