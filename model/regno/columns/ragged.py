"""Lists of numbers of unequal lengths, held as one array."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


class Lists:
    """`n` lists of floats, none of them empty; there must be at least one list."""

    def __init__(self, numbers: Array, lengths: Array, sizes: Array | None = None) -> None:
        """`numbers` are those of all lists in a row, `lengths` (n,) how many each has.

        `sizes` (n,) are how many each was given, where an empty one counts as [0].
        """
        self._numbers = numbers
        self._lengths = lengths
        self._starts = np.cumsum(lengths) - lengths
        self.sizes = lengths if sizes is None else sizes

    @classmethod
    def of(cls, lists: Sequence[Sequence[float]]) -> "Lists":
        """The same of Python's lists; an empty one counts as [0]."""
        sizes = np.fromiter(map(len, lists), dtype=np.intp, count=len(lists))
        lengths = np.maximum(sizes, 1)
        filled = lists if all(lists) else [numbers or (0.0,) for numbers in lists]
        total = int(lengths.sum())
        numbers = np.fromiter(chain.from_iterable(filled), dtype=float, count=total)
        return cls(numbers, lengths, sizes)

    def only(self, wanted: Array) -> "Lists":
        """The lists at which `wanted` (n,) is true, of which there must be one."""
        numbers = self._numbers[np.repeat(wanted, self._lengths)]
        return Lists(numbers, self._lengths[wanted], self.sizes[wanted])

    @cached_property
    def least(self) -> Array:
        """The least number of each list, shape (n,)."""
        least: Array = np.minimum.reduceat(self._numbers, self._starts)
        return least

    @cached_property
    def greatest(self) -> Array:
        """The greatest number of each list, shape (n,)."""
        greatest: Array = np.maximum.reduceat(self._numbers, self._starts)
        return greatest

    def row(self, index: int) -> Array:
        """The numbers of one list."""
        start = self._starts[index]
        return self._numbers[start : start + self._lengths[index]]

    def at(self, places: Array, missing: float) -> Array:
        """The number of each list at its place in `places` (n,), `missing` beyond its end."""
        at = np.minimum(self._starts + places, len(self._numbers) - 1)
        return np.where(places < self._lengths, self._numbers[at], missing)

    def matrix(self, width: int, fill: float) -> Array:
        """The lists cut or filled to a width, shape (n, the longest's length or `width`)."""
        places = np.arange(min(width, self._lengths.max()))
        at = np.minimum(self._starts[:, None] + places, len(self._numbers) - 1)
        return np.where(places < self._lengths[:, None], self._numbers[at], fill)
