"""A second, careful look at a body that the fast decoder refused or could not vouch for.

The standard library's scanner shows what msgspec does not: repeated keys, and which field
holds a NaN.
"""

import json
import re
from typing import Final

from model.errors import InvalidRequest

NOT_JSON: Final = "the body is not JSON"
TOO_DEEP: Final = "the body is nested too deeply"
NOT_FINITE: Final = "must be a finite number"
REPEATED: Final = "a field is named twice"

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_CONSTANT: Final = object()


class CarefulReader:
    """Reads one JSON value; `fields` are the names that may be named in a fault."""

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

    def look(self, text: str) -> InvalidRequest | None:
        """What is wrong with a text that is one JSON value, if anything.

        Raises InvalidRequest when it is none.
        """
        self._fault = None
        try:
            _, end = self._scanner.raw_decode(text, _skip(text, 0))
        except RecursionError:
            raise InvalidRequest("", TOO_DEEP) from None
        except ValueError:
            raise InvalidRequest("", NOT_JSON) from None
        if _skip(text, end) != len(text):
            raise InvalidRequest("", NOT_JSON)
        return self._fault

    def check(self, text: str) -> None:
        """Raise what is wrong with a text that is one JSON value."""
        fault = self.look(text)
        if fault:
            raise fault

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
