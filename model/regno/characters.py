"""What depends on single characters, for many readings at once.

Readings become a matrix of character codes, one row each. The rare reading longer than the
matrix is wide is computed by the row road, so that one huge text can't widen it for all.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np

from model.regno.features import SYMBOLS, least_of_symbols
from model.regno.plates import UNKNOWN, category

Array: TypeAlias = np.ndarray[Any, Any]

_WIDTH: Final = 16
_CODES: Final = 0x110000
# Longer than any plate format, and as many character classes as 64 bits hold at 4 bits each.
_SHAPE: Final = 12
# The characters that a plate format names one by one; the rest of its characters are classes.
_NAMED: Final = "СТTCD"


def least_scores(readings: Sequence[str], scores: Sequence[Sequence[float]]) -> Array:
    """The least score of each symbol in each reading, 1 where it doesn't occur.

    `scores` are paired with the characters from the left. Shape (symbols, readings), in the
    order of `SYMBOLS`.
    """
    least = np.full((len(readings), len(SYMBOLS) + 1), np.inf)
    rows = np.arange(len(readings))
    symbols, values = _symbol_numbers(readings), _matrix(scores)
    # By position: within one no row occurs twice, and the first of equal scores stays.
    for position in range(values.shape[1]):
        symbol, value = symbols[:, position], values[:, position]
        before = least[rows, symbol]
        least[rows, symbol] = np.where(value < before, value, before)
    least[np.isinf(least)] = 1
    for row in (row for row, reading in enumerate(readings) if len(reading) > _WIDTH):
        found = least_of_symbols(readings[row], scores[row])
        least[row, :-1] = [found.get(symbol, 1) for symbol in SYMBOLS]
    return np.ascontiguousarray(least[:, :-1].T)
