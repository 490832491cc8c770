"""What depends on single characters, for many readings at once.

Readings become a matrix of character codes, a row each. It is only so wide: one huge text
must not widen it for all.
"""

import re
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd

from model.regno.columns.ragged import Lists
from model.regno.features import SYMBOLS
from model.regno.plates import (
    FORMATS,
    UNKNOWN,
    category,
    has_lookalikes,
    in_cyrillic,
    is_plain,
)

Array: TypeAlias = np.ndarray[Any, Any]

FORMAT_NAMES: Final = (UNKNOWN, *(name for name, _ in FORMATS))
_FORMAT_CODE: Final = {name: code for code, name in enumerate(FORMAT_NAMES)}
_SYMBOL_CODE: Final = {symbol: code for code, symbol in enumerate(SYMBOLS)}
# How many characters of a reading the matrix of codes holds.
WIDTH: Final = 16
_ALL_CODES: Final = 0x110000
# Of the Cyrillic block.
_LAST_LETTER: Final = 0x4FF
# A format has at most eleven characters, so that twelve tell one from anything longer.
_SHAPE: Final = 12
_SHAPE_BITS: Final = 4
# Characters that a format names singly; its others are named by these two classes.
_NAMED: Final = "СТTCD"
_CLASSES: Final = (r"\d", "[А-Я]", *_NAMED)
_OTHER: Final = len(_CLASSES) + 1


class Readings:
    """`n` readings; what is needed of their characters is computed once, on first use."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        """How many they are."""
        return len(self.texts)

    @cached_property
    def sizes(self) -> Array:
        """How many characters each has, shape (n,)."""
        return np.fromiter(map(len, self.texts), dtype=np.intp, count=len(self.texts))

    @cached_property
    def codes(self) -> Array:
        """The codes of the first characters, 0 beyond a reading's end, shape (n, `WIDTH`)."""
        texts = np.array(self.texts, dtype=f"U{WIDTH}")
        return texts.view(np.uint32).reshape(len(self.texts), WIDTH)

    @cached_property
    def long(self) -> list[int]:
        """The places of those that have more characters than `codes` holds."""
        places: list[int] = np.flatnonzero(self.sizes > WIDTH).tolist()
        return places


def least_scores(readings: Readings, scores: Lists) -> dict[str, Array]:
    """For each symbol its least score in each reading, 1 where it does not occur, shape (n,).

    Characters and scores are paired from the left, up to the shorter of the two.
    """
    values = scores.matrix(WIDTH, np.inf)
    symbols = _looked_up(_symbol_codes(), readings.codes[:, : values.shape[1]])
    # The last row is for all characters that are not symbols.
    least = np.full((len(SYMBOLS) + 1, len(readings)), np.inf)
    places = symbols * len(readings) + np.arange(len(readings))[:, None]
    np.minimum.at(least.reshape(-1), places.reshape(-1), values.reshape(-1))
    _add_long(least, readings, scores)
    least[np.isinf(least)] = 1
    return dict(zip(SYMBOLS, least, strict=False))


def _add_long(least: Array, readings: Readings, scores: Lists) -> None:
    """What lies beyond the matrix."""
    for row in readings.long:
        beyond = zip(readings.texts[row][WIDTH:], scores.row(row)[WIDTH:], strict=False)
        for symbol, score in beyond:
            code = _SYMBOL_CODE.get(symbol)
            if code is not None and score < least[code, row]:
                least[code, row] = score


def format_codes(readings: Readings) -> Array:
    """The plate format of each reading as an index into `FORMAT_NAMES`, shape (n,).

    Readings are distinguished by the classes of their characters. A format is looked up once
    for each such shape, by the same function that serves single readings.
    """
    which, shapes = pd.factorize(_shapes(readings))
    example = np.empty(len(shapes), dtype=np.intp)
    example[which] = np.arange(len(readings))
    formats = [_FORMAT_CODE[category(readings.texts[row])] for row in example.tolist()]
    return np.array(formats)[which]


def _shapes(readings: Readings) -> Array:
    """A number for each reading; readings of equal numbers match the same formats."""
    classes = np.zeros((len(readings), WIDTH), dtype=np.uint8)
    # By length and not by code, since a reading may hold the code 0.
    present = np.arange(_SHAPE) < readings.sizes[:, None]
    known = _looked_up(_character_classes(), readings.codes[:, :_SHAPE])
    np.multiply(known, present, out=classes[:, :_SHAPE])
    pairs = classes[:, 0::2] | classes[:, 1::2] << _SHAPE_BITS
    return pairs.view(np.uint64).reshape(-1)


# Kinds of characters: Cyrillic capitals and digits; others; Latin letters that are taken for
# Cyrillic ones; and those that `agree` can't compare one by one.
PLAIN, OTHER, LOOKALIKE, SPECIAL = range(4)


def kinds(readings: Readings) -> Array:
    """The greatest kind of a character in each reading, shape (n,).

    A reading that does not fit its `codes` is SPECIAL.
    """
    within = np.arange(WIDTH) < readings.sizes[:, None]
    each = _looked_up(_kinds(), readings.codes) * within
    greatest = np.full(len(readings), PLAIN, dtype=np.uint8)
    # Nearly all are PLAIN, which is 0: eight characters are compared at once.
    other = np.flatnonzero(each.view(np.uint64).any(axis=1))
    greatest[other] = each[other].max(axis=1, initial=PLAIN)
    greatest[readings.long] = SPECIAL
    return greatest


def same(camera: Readings, network: Readings) -> Array:
    """Which pairs are equal, shape (n,), as far as their `codes` show."""
    equal: Array = (camera.codes == network.codes).all(axis=1) & (camera.sizes == network.sizes)
    return equal


def agree(camera: Array, network: Array) -> Array:
    """Which pairs `plates.agree` accepts, shape (n,), by codes of readings that are not SPECIAL."""
    meant = _meant()
    same: Array = (meant[camera] == meant[network]).all(axis=1)
    return same


@cache
def _kinds() -> Array:
    """The kind of each character code."""
    kinds = np.full(_LAST_LETTER + 2, SPECIAL, dtype=np.uint8)
    for code in range(1, _LAST_LETTER + 1):
        character = chr(code)
        if is_plain(character):
            kinds[code] = PLAIN
        elif has_lookalikes(character):
            kinds[code] = LOOKALIKE
        elif len(character.upper()) == 1 and not character.isspace():
            kinds[code] = OTHER
    return kinds


@cache
def _meant() -> Array:
    """For each character code, but for SPECIAL ones, that of the capital that is meant."""
    meant = [in_cyrillic(chr(code).upper()) for code in range(_LAST_LETTER + 1)]
    return np.array([ord(character[:1]) for character in meant])


def _looked_up(table: Array, codes: Array) -> Array:
    """What a table holds for character codes: its last entry is for all that are greater."""
    return table.take(codes, mode="clip")


@cache
def _symbol_codes() -> Array:
    """For each character code an index into `SYMBOLS`, their number for all others."""
    places = [ord(symbol) for symbol in SYMBOLS]
    codes = np.full(max(places) + 2, len(SYMBOLS), dtype=np.intp)
    codes[places] = range(len(SYMBOLS))
    return codes


@cache
def _character_classes() -> Array:
    """For each character code its class, never 0."""
    everything = np.arange(_ALL_CODES, dtype=np.uint32).tobytes()
    text = everything.decode("utf-32-le", "surrogatepass")
    matches = [[match.start() for match in re.finditer(pattern, text)] for pattern in _CLASSES]
    classes = np.full(max(map(max, matches)) + 2, _OTHER, dtype=np.uint8)
    for number, places in enumerate(matches, start=1):
        classes[places] = number
    return classes
