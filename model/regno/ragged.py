"""Lists of numbers of unequal lengths, held as one array."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


class Lists:
    """`n` lists of floats; an empty one counts as [0]. There must be at least one list."""

    def __init__(self, lists: Sequence[Sequence[float]]) -> None:
        if not all(lists):
            lists = [numbers or (0.0,) for numbers in lists]
        self._lengths = np.fromiter(map(len, lists), dtype=np.intp, count=len(lists))
        total = int(self._lengths.sum())
        self._flat = np.fromiter(chain.from_iterable(lists), dtype=float, count=total)
        self._starts = np.cumsum(self._lengths) - self._lengths

    def least(self) -> Array:
        """The least number of each list, shape (n,)."""
        least: Array = np.minimum.reduceat(self._flat, self._starts)
        return least

    def greatest(self) -> Array:
        """The greatest number of each list, shape (n,)."""
        greatest: Array = np.maximum.reduceat(self._flat, self._starts)
        return greatest

    def row(self, index: int) -> Array:
        """The numbers of one list."""
        start = self._starts[index]
        return self._flat[start : start + self._lengths[index]]

    def matrix(self, width: int, fill: float) -> Array:
        """The lists cut or filled to a width, shape (n, the longest's length or `width`)."""
        places = np.arange(min(width, self._lengths.max()))
        at = np.minimum(self._starts[:, None] + places, len(self._flat) - 1)
        return np.where(places < self._lengths[:, None], self._flat[at], fill)
