"""Times of readings, many at once, by the rules of `model.regno.request`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np

from model.regno.columns.table import MONTHS
from model.regno.request import parse_wall_clock

Array: TypeAlias = np.ndarray[Any, Any]

_USUAL: Final = len("2021-08-01 09:02:59")
_DATE: Final = len("2021-08-01")
_REMEMBERED: Final = 4096
# The greatest hour, minute and second of the clock; each is at this place in the usual form.
_GREATEST: Final = {11: 23, 14: 59, 17: 59}


def days_and_months(cells: Sequence[bytes]) -> tuple[Array, Array]:
    """The ordinals of their dates, and indices in `MONTHS`, each of shape (n,); day -1 for no date.

    A date is the first ten bytes of a cell; what follows is for `hours`.
    """
    dates = np.array([_date(cell[:_DATE]) for cell in cells])
    return dates // len(MONTHS), dates % len(MONTHS)


def hours(cells: Sequence[bytes]) -> Array:
    """The hour in what follows the date, -1 where no readable time ends so, shape (n,)."""
    text = b"".join(cells)
    lengths = np.fromiter(map(len, cells), dtype=np.intp, count=len(cells))
    if (lengths != _USUAL).any():
        return np.array([_hour(cell[_DATE:]) for cell in cells])
    found = _usual_hours(np.frombuffer(text, dtype=np.uint8).reshape(-1, _USUAL))
    for row in np.flatnonzero(found < 0).tolist():
        found[row] = _hour(cells[row][_DATE:])
    return found


def _usual_hours(characters: Array) -> Array:
    """The hours in `YYYY-MM-DD HH:MM:SS`, -1 where the clock is not so, shape (n,)."""
    between, colons = characters[:, _DATE], characters[:, [13, 16]]
    right = ((between == ord(" ")) | (between == ord("T"))) & (colons == ord(":")).all(axis=1)
    digits = characters.astype(np.int64) - ord("0")
    for at, greatest in _GREATEST.items():
        tens, ones = digits[:, at], digits[:, at + 1]
        right &= (tens >= 0) & (ones >= 0) & (ones <= 9) & (10 * tens + ones <= greatest)
    return np.where(right, 10 * digits[:, 11] + digits[:, 12], -1)


@lru_cache(_REMEMBERED)
def _date(date: bytes) -> int:
    """Twelve times the day's ordinal plus the month, -1 when it is no date."""
    try:
        clock = parse_wall_clock(date.decode())
    except ValueError:
        return -1
    return clock.day * len(MONTHS) + MONTHS.index(clock.month)


@lru_cache(_REMEMBERED)
def _hour(rest: bytes) -> int:
    try:
        return parse_wall_clock("2000-01-01" + rest.decode()).hour
    except ValueError:
        return -1
