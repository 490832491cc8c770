"""A strict JSON reader for bodies that the fast decoder refused or could not vouch for.

The standard library's scanner shows what msgspec does not: repeated keys, and the field that
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


class StrictReader:
    """Finds faults in one JSON value; only names among `fields` are repeated in a fault."""

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields
        self._fault: InvalidRequest | None = None
        # Numbers stay text: msgspec checks their values, and int() limits their digits.
        self._scanner = json.JSONDecoder(
            object_pairs_hook=self._check_object,
            parse_constant=lambda _: _CONSTANT,
            parse_int=str,
            parse_float=str,
        )

    def fault(self, text: str) -> InvalidRequest | None:
        """The first fault in a text that is one JSON value, None if there is none.

        Raises InvalidRequest for a text that is not one JSON value.
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
        """Raise the first fault of a text: InvalidRequest."""
        if fault := self.fault(text):
            raise fault

    def _check_object(self, pairs: list[tuple[str, object]]) -> None:
        """Keep the first fault; the scanner calls this for each object, innermost first."""
        if len(dict(pairs)) != len(pairs):
            self._fault = self._fault or InvalidRequest("", REPEATED)
        for name, value in pairs:
            if value is _CONSTANT or (isinstance(value, list) and _CONSTANT in value):
                field = name if name in self._fields else ""
                self._fault = self._fault or InvalidRequest(field, NOT_FINITE, "range")


def _skip(text: str, at: int) -> int:
    match = _WHITESPACE.match(text, at)
    return match.end() if match else at
