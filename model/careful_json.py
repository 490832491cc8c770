"""A second, careful look at a body that the fast decoder refused or could not vouch for.

The standard library's scanner tells what msgspec does not: repeated keys, and which field
holds a NaN. It takes an array element by element, so a hostile one is never held whole.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from model.errors import InvalidRequest

NOT_JSON: Final = "the body is not JSON"
TOO_DEEP: Final = "the body is nested too deeply"
NOT_FINITE: Final = "must be a finite number"
REPEATED: Final = "a field is named twice"

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_CONSTANT: Final = object()


class CarefulReader:
    """Reads elements of an array; `fields` are the names that may be told in a fault."""

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields
        self._fault: InvalidRequest | None = None
        # Numbers stay text: their values are msgspec's business, and int() has a limit.
        self._scanner = json.JSONDecoder(
            object_pairs_hook=self._look_at,
            parse_constant=lambda _: _CONSTANT,
            parse_int=str,
            parse_float=str,
        )

    def elements(self, text: str) -> Iterator[tuple[str, InvalidRequest | None]]:
        """Each element's text, and what is wrong with it if that can be told.

        Raises InvalidRequest when the array itself can't be read.
        """
        at = _skip(text, 0)
        if text[at : at + 1] != "[":
            raise InvalidRequest("", NOT_JSON)
        at = _skip(text, at + 1)
        more = text[at : at + 1] != "]"
        while more:
            end = self._end_of_element(text, at)
            yield text[at:end], self._fault
            at = _skip(text, end)
            more = text[at : at + 1] == ","
            at = _skip(text, at + 1) if more else at
        if text[at : at + 1] != "]" or _skip(text, at + 1) != len(text):
            raise InvalidRequest("", NOT_JSON)

    def check(self, text: str) -> None:
        """Raise what is wrong with a text that is one JSON value."""
        for _, fault in self.elements(f"[{text}]"):
            if fault:
                raise fault

    def _end_of_element(self, text: str, at: int) -> int:
        self._fault = None
        try:
            return self._scanner.raw_decode(text, at)[1]
        except RecursionError as error:
            raise InvalidRequest("", TOO_DEEP) from error
        except ValueError as error:
            raise InvalidRequest("", NOT_JSON) from error

    def _look_at(self, pairs: list[tuple[str, object]]) -> None:
        """Called for each object, innermost first; keeps the first fault."""
        if len(dict(pairs)) != len(pairs):
            self._fault = self._fault or InvalidRequest("", REPEATED)
        for name, value in pairs:
            if value is _CONSTANT or (isinstance(value, list) and _CONSTANT in value):
                told = name if name in self._fields else ""
                fault = InvalidRequest(told, NOT_FINITE, "range")
                self._fault = self._fault or fault


def _skip(text: str, at: int) -> int:
    match = _WHITESPACE.match(text, at)
    return match.end() if match else at
