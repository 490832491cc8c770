"""From the bytes of a body to validated requests, for any request type.

A body is one object or an array of them, either of which may have been encoded once more
as a JSON string. The fast road is one msgspec call for the whole body. Only a body that
this call refuses, or that may repeat a key, is read a second time, row by row.
"""

import re
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, Final, Generic, TypeVar

import msgspec

from model.careful_json import NOT_FINITE, NOT_JSON, TOO_DEEP, CarefulReader
from model.errors import InvalidRequest, TooManyRows

T = TypeVar("T", bound=msgspec.Struct)

_KEY_ENDS: Final = re.compile(rb'"[ \t\r\n]*:')
# The names of msgspec, for what was wanted and for what was sent instead.
_KINDS: Final = {
    "float": "a number",
    "int": "an integer",
    "str": "a string",
    "object": "an object",
    "array": "a list",
    "bool": "true or false",
    "null": "null",
}
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_MISMATCH = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`| (.+))")
_AT = re.compile(r"(.*) - at `\$(?:\[\d+\])?\.?(\w*)[^`]*`", re.DOTALL)

_NUMBERS: Final = ("float", "int")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")

EMPTY: Final = "is empty"
NOT_ROWS: Final = "the body must be an object or an array of objects"
NOT_A_ROW: Final = "the row must be an object"


class RequestDecoder(Generic[T]):
    """Decodes bodies into requests of one struct type, all of whose fields are required."""

    def __init__(
        self, kind: type[T], hook: Callable[[type, object], Any], max_rows: int = 10_000
    ) -> None:
        self._max_rows = max_rows
        self._fields = frozenset(kind.__struct_fields__)
        self._body = msgspec.json.Decoder(
            kind | list[kind] | str,  # type: ignore[valid-type]
            strict=False,
            dec_hook=hook,
        )
        self._row = msgspec.json.Decoder(kind | str, strict=False, dec_hook=hook)

    def decode(self, body: bytes) -> T | list[T | InvalidRequest]:
        """One request, or for an array its requests in order, each unreadable one in its place.

        Raises InvalidRequest when nothing in the body can be read.
        """
        try:
            value = self._body.decode(body)
        except RecursionError as error:
            raise InvalidRequest("", TOO_DEEP) from error
        except (msgspec.DecodeError, UnicodeError) as error:
            if body.lstrip(b" \t\r\n")[:1] == b"[":
                return self._row_by_row(body)
            raise self._fault(_text(body), error) from error
        if isinstance(value, str):
            return self._encoded_twice(value)
        return self._without_repeats(body, value)

    def _fault(self, text: str, error: Exception) -> InvalidRequest:
        """Why msgspec refused one object."""
        if isinstance(error, msgspec.ValidationError):
            return explain(error, partial(_sent, text))
        try:
            CarefulReader(self._fields).check(text)
        except InvalidRequest as fault:
            return fault
        return InvalidRequest("", NOT_JSON)

    def _encoded_twice(self, text: str) -> T | list[T | InvalidRequest]:
        body = text.encode()
        if body.lstrip()[:1] == b'"':
            raise InvalidRequest("", NOT_ROWS)
        return self.decode(body)

    def _without_repeats(
        self, body: bytes, value: T | list[T | InvalidRequest]
    ) -> T | list[T | InvalidRequest]:
        """msgspec keeps the last of two equal keys; a request must not be read two ways.

        Every key ends in a quote and a colon, so the count of those is never less than the
        number of keys; all fields are required, so it is never less than rows times fields.
        Equality therefore proves that each row has its fields once and nothing else.
        """
        rows = value if isinstance(value, list) else None
        if rows is not None and len(rows) > self._max_rows:
            raise TooManyRows(self._max_rows)
        expected = len(self._fields) * (1 if rows is None else len(rows))
        if len(_KEY_ENDS.findall(body)) == expected:
            return value
        if rows is not None:
            return self._row_by_row(body)
        CarefulReader(self._fields).check(_text(body))
        return value

    def _row_by_row(self, body: bytes) -> list[T | InvalidRequest]:
        rows: list[T | InvalidRequest] = []
        for text, fault in CarefulReader(self._fields).elements(_text(body)):
            if len(rows) == self._max_rows:
                raise TooManyRows(self._max_rows)
            rows.append(fault or self._one(text))
        return rows

    def _one(self, text: str) -> T | InvalidRequest:
        try:
            value = self._row.decode(text)
            if isinstance(value, str):
                text = value
                CarefulReader(self._fields).check(text)
                value = self._row.decode(text)
        except InvalidRequest as fault:
            return fault
        except (msgspec.DecodeError, UnicodeError) as error:
            return self._fault(text, error)
        return InvalidRequest("", NOT_A_ROW) if isinstance(value, str) else value


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeError as error:
        raise InvalidRequest("", NOT_JSON) from error


def _sent(text: str, field: str) -> object:
    """What an object names for a field; None where that can't be told."""
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # behind the fault that is told
        return None
    return fields.get(field) if isinstance(fields, dict) else None


def explain(error: msgspec.ValidationError, sent: Callable[[str], object]) -> InvalidRequest:
    """The field and the reason out of msgspec's message, which never holds a value.

    `sent` gives the value that was sent for a field. It is looked at, never repeated.
    """
    message, field = str(error), ""
    if located := _AT.fullmatch(message):
        message, field = located.groups()
    if missing := _MISSING.fullmatch(message):
        return InvalidRequest(missing[1], "is missing", "missing")
    if message == "Number out of range":
        return InvalidRequest(field, NOT_FINITE, "range")
    if mismatch := _MISMATCH.fullmatch(message):
        wanted, got, bound = mismatch.groups()
        return InvalidRequest(field, *_mismatch(wanted, got, bound, sent(field)))
    return InvalidRequest(field, message)


def _mismatch(wanted: str, got: str | None, bound: str | None, value: object) -> tuple[str, str]:
    """The reason and its kind; `wanted`, `got` and `bound` are msgspec's words."""
    if wanted in _NUMBERS and _is_not_finite(value):
        return NOT_FINITE, "range"
    if bound:
        return f"must be {bound}", "length" if bound.startswith("of length") else "range"
    if wanted in _NUMBERS and isinstance(value, str):
        return _no_number(value, wanted), "type"
    return _other_type(wanted, got), "type"


def _no_number(text: str, wanted: str) -> str:
    if not text.strip():
        return EMPTY
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        return "has a decimal comma, where a point is wanted"
    return f"must be {_KINDS[wanted]}, not other text"


def _is_not_finite(value: object) -> bool:
    if not isinstance(value, str | float):
        return False
    try:
        return not isfinite(float(value))
    except ValueError:
        return False


def _other_type(wanted: str, got: str | None) -> str:
    if "|" in wanted:
        return NOT_ROWS if "array" in wanted else NOT_A_ROW
    if (wanted, got) == ("int", "float"):
        return "must be an integer, not a fraction"
    return f"must be {_KINDS.get(wanted, wanted)}, not {_KINDS.get(got or '', got)}"
