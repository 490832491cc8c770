"""Fingerprints of features: equal features have equal ones, and others never in practice.

A fingerprint is the SHA-256 of the numeric features as little-endian doubles, then of the other
ones as UTF-8, each behind a zero byte, in the model's order. Rows and tables give the same.
"""

from collections.abc import Sequence
from hashlib import sha256
from operator import itemgetter
from struct import Struct
from typing import Any, Final

import numpy as np
import pandas as pd

from model.regno.features import KINDS

_MINUS_ZERO: Final = Struct("<d").pack(-0.0)


class Fingerprints:
    """Makes the fingerprints of a model that declares `features`: (name, kind) in its order."""

    def __init__(self, features: Sequence[tuple[str, str]]) -> None:
        names = [name for name, _ in features]
        self._numeric = [name for name in names if KINDS[name] == "numeric"]
        self._others = [name for name in names if KINDS[name] != "numeric"]
        self._numbers_of = _getter([names.index(name) for name in self._numeric])
        self._texts_of = _getter([names.index(name) for name in self._others])
        self._doubles = Struct(f"<{len(self._numeric)}d")

    def of_row(self, row: Sequence[Any]) -> str:
        """That of one row."""
        numbers = self._numbers_of(row)
        packed = self._doubles.pack(*numbers)
        if _MINUS_ZERO in packed:  # a table has no sign of zeros
            packed = self._doubles.pack(*(number + 0.0 for number in numbers))
        return _digest(packed, self._texts_of(row))

    def of_table(self, table: pd.DataFrame) -> list[str]:
        """That of each row of a table."""
        numbers = table[self._numeric].to_numpy(dtype="<f8") + 0.0
        packed, size = np.ascontiguousarray(numbers).tobytes(), self._doubles.size
        columns = [table[name].tolist() for name in self._others]
        texts = zip(*columns, strict=True) if columns else [()] * len(table)
        return [
            _digest(packed[at * size : (at + 1) * size], others) for at, others in enumerate(texts)
        ]


def _getter(places: Sequence[int]) -> Any:
    """What takes these places out of a row, as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


def _digest(packed: bytes, texts: Sequence[str]) -> str:
    return sha256(b"\0".join((packed, *map(str.encode, texts)))).hexdigest()
