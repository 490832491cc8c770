"""From the bytes of a body to validated requests, for any request type.

A body is one object or an array of them, either of which may have been encoded once more
as a JSON string. The fast road is one msgspec call for the whole body. Only a body that
this call refuses, or that may repeat a key, is read a second time, row by row.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from model.careful_json import NOT_JSON, TOO_DEEP, CarefulReader
from model.errors import InvalidRequest, NotUtf8, TooManyRows

T = TypeVar("T", bound=msgspec.Struct)

_KEY_ENDS: Final = re.compile(rb'"[ \t\r\n]*:')
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
            bare = body.removeprefix(BOM_UTF8)
            if len(bare) < len(body) and not bare.startswith(BOM_UTF8):
                return self.decode(bare)
            if body.lstrip(b" \t\r\n")[:1] == b"[":
                return self._row_by_row(body)
            raise self._fault(text_of(body), error) from error
        if isinstance(value, str):
            return self._encoded_twice(value)
        return self._without_repeats(body, value)

    def _fault(self, text: str, error: Exception) -> InvalidRequest:
        """Why msgspec refused one object."""
        if isinstance(error, msgspec.ValidationError):
            return explain(error)
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
        CarefulReader(self._fields).check(text_of(body))
        return value

    def _row_by_row(self, body: bytes) -> list[T | InvalidRequest]:
        rows: list[T | InvalidRequest] = []
        for text, fault in CarefulReader(self._fields).elements(text_of(body)):
            if len(rows) == self._max_rows:
                raise TooManyRows(self._max_rows)
            rows.append(fault or self._one(text))
        return rows

    def _one(self, text: str) -> T | InvalidRequest:
        try:
            value = self._row.decode(text)
            if isinstance(value, str):
                text = value.removeprefix(BOM_UTF8.decode())
                CarefulReader(self._fields).check(text)
                value = self._row.decode(text)
        except InvalidRequest as fault:
            return fault
        except (msgspec.DecodeError, UnicodeError) as error:
            return self._fault(text, error)
        return InvalidRequest("", NOT_A_ROW) if isinstance(value, str) else value


def text_of(body: bytes) -> str:
    """The text of a body that should be JSON. Raises NotUtf8.

    JSON begins with two characters of ASCII: where a NUL is near, it is UTF-16 or UTF-32.
    """
    if b"\0" in body[:4]:
        raise NotUtf8
    try:
        return body.decode()
    except UnicodeError as error:
        raise NotUtf8 from error


def explain(error: msgspec.ValidationError) -> InvalidRequest:
    """The field and the reason out of msgspec's message, which never holds a value."""
    message, field = str(error), ""
    if located := _AT.fullmatch(message):
        message, field = located.groups()
    if missing := _MISSING.fullmatch(message):
        return InvalidRequest(missing[1], "is missing", "missing")
    if message == "Number out of range":
        return InvalidRequest(field, "must be a finite number", "range")
    if mismatch := _MISMATCH.fullmatch(message):
        wanted, got, bound = mismatch.groups()
        if bound:
            kind = "length" if bound.startswith("of length") else "range"
            return InvalidRequest(field, f"must be {bound}", kind)
        return InvalidRequest(field, _mismatch(wanted, got), "type")
    return InvalidRequest(field, message)


def _mismatch(wanted: str, got: str | None) -> str:
    if "|" in wanted:
        return NOT_ROWS if "array" in wanted else NOT_A_ROW
    return f"must be {_KINDS.get(wanted, wanted)}, not {_KINDS.get(got or '', got)}"
