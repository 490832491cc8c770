"""Where the elements of a JSON array begin and end, however long and whatever they hold.

numpy scans the bytes piece by piece: a parser in Python takes a hundred times as long, and one in C
can't be interrupted. Whether an element is valid JSON is left to the caller.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

# Some milliseconds of work.
_PIECE: Final = 64 * 1024
_QUOTE, _BACKSLASH, _COMMA = b'"'[0], b"\\"[0], b","[0]
# What each byte does to the depth of nesting.
_STEP: Final = np.zeros(256, dtype=np.int8)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1


class NotAnArray(ValueError):
    """Bytes whose brackets and quotes are not those of one JSON array."""


def ends_of_elements(body: bytes) -> Iterator[list[int]]:
    """Where the elements of an array end: the places of commas, and last that of the bracket.

    Each step yields those in one piece of the body. White space belongs to the elements; an array
    of white space has one. `body` begins with `[` and has no white space around it. Raises
    NotAnArray if the array does not end where `body` does.
    """
    data = np.frombuffer(body, dtype=np.uint8)
    depth, quoted, escaped = 0, False, False
    for at in range(0, len(data), _PIECE):
        piece = data[at : at + _PIECE]
        quotes, escaped = _unescaped_quotes(piece, escaped)
        inside = np.logical_xor.accumulate(quotes) ^ quoted
        quoted = bool(inside[-1])
        depths = depth + np.cumsum(np.where(inside, np.int8(0), _STEP[piece]), dtype=np.int64)
        depth = int(depths[-1])
        closed = np.flatnonzero(depths < 1)
        if len(closed) and at + int(closed[0]) != len(data) - 1:
            raise NotAnArray
        commas: list[int] = (
            np.flatnonzero((piece == _COMMA) & (depths == 1) & ~inside) + at
        ).tolist()
        yield commas
    if depth or quoted:
        raise NotAnArray
    yield [len(data) - 1]


def _unescaped_quotes(piece: Array, escaped: bool) -> tuple[Array, bool]:  # noqa: FBT001
    """Which bytes are quotes without a backslash before them; whether the piece ends in one.

    `escaped` says whether the piece before ended in a backslash that escapes.
    """
    quotes = piece == _QUOTE
    slashes = piece == _BACKSLASH
    if not escaped and not slashes.any():
        return quotes, False
    # A backslash escapes if an even number of them stands directly before it.
    places = np.arange(len(piece))
    others = np.maximum.accumulate(np.where(slashes, -1, places))
    run = places - others  # of backslashes, up to here
    run[others < 0] += int(escaped)
    escapes = slashes & (run % 2 == 1)
    after = np.empty_like(escapes)
    after[0], after[1:] = escaped, escapes[:-1]
    return quotes & ~after, bool(escapes[-1])
