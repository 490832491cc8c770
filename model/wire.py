"""From the bytes of a body to validated requests, for any request type.

A body is one object or an array of them, either of which may have been encoded once more
as a JSON string. The fast road is one msgspec call for the whole body. Only a body that
this call refuses, or that may repeat a key, is read a second time, row by row.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec

from model.errors import InvalidRequest, TooManyRows

T = TypeVar("T", bound=msgspec.Struct)

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
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

NOT_JSON: Final = "the body is not JSON"
TOO_DEEP: Final = "the body is nested too deeply"
REPEATED: Final = "the body names a field twice"
NOT_ROWS: Final = "the body must be an object or an array of objects"


class RequestDecoder(Generic[T]):
    """Decodes bodies into requests of one struct type, all of whose fields are required."""

    def __init__(
        self, kind: type[T], hook: Callable[[type, object], Any], max_rows: int = 10_000
    ) -> None:
        self._max_rows = max_rows
        self._width = len(kind.__struct_fields__)
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
        except msgspec.ValidationError as error:
            if _is_array(body):
                return self._row_by_row(body)
            raise explain(error) from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidRequest("", NOT_JSON) from error
        except RecursionError as error:
            raise InvalidRequest("", TOO_DEEP) from error
        if isinstance(value, str):
            return self._encoded_twice(value)
        return self._without_repeats(body, value)

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
        expected = self._width * (1 if rows is None else len(rows))
        if len(_KEY_ENDS.findall(body)) == expected:
            return value
        if rows is not None:
            return self._row_by_row(body)
        _parse_once(body.decode())
        return value

    def _row_by_row(self, body: bytes) -> list[T | InvalidRequest]:
        rows: list[T | InvalidRequest] = []
        try:
            for text, fault in _elements(body.decode()):
                if len(rows) == self._max_rows:
                    raise TooManyRows(self._max_rows)
                rows.append(fault or self._one(text))
        except UnicodeError as error:
            raise InvalidRequest("", NOT_JSON) from error
        return rows

    def _one(self, text: str) -> T | InvalidRequest:
        try:
            value = self._row.decode(text)
            if isinstance(value, str):
                _parse_once(value)
                value = self._row.decode(value)
        except InvalidRequest as fault:
            return fault
        except msgspec.ValidationError as error:
            return explain(error)
        except (msgspec.DecodeError, UnicodeError):
            return InvalidRequest("", "the row is not JSON")
        if isinstance(value, str):
            return InvalidRequest("", "the row must be an object")
        return value  # type: ignore[no-any-return]


def _is_array(body: bytes) -> bool:
    return body.lstrip(b" \t\r\n")[:1] == b"["


def _refuse_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        raise InvalidRequest("", REPEATED)
    return seen


_scanner = json.JSONDecoder(object_pairs_hook=_refuse_repeats)


def _parse_once(text: str) -> None:
    """Read a whole text with the careful parser. Raises InvalidRequest."""
    for _, fault in _elements(f"[{text}]"):
        if fault:
            raise fault


def _elements(text: str) -> Iterator[tuple[str, InvalidRequest | None]]:
    """Each element of an array, one at a time: a hostile array is never held whole.

    Yields the element's text and, if an object in it repeats a key, the fault.
    Raises InvalidRequest when the array itself can't be read.
    """
    at = _skip(text, _skip(text, 0) + 1)
    if text[at : at + 1] == "]":
        _end(text, at)
        return
    while True:
        end, fault = _element(text, at)
        yield text[at:end], fault
        at = _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    _end(text, at)


def _element(text: str, at: int) -> tuple[int, InvalidRequest | None]:
    try:
        return _scanner.raw_decode(text, at)[1], None
    except InvalidRequest as fault:
        # The repeated key is this row's own fault: find where the row ends and go on.
        return json.JSONDecoder().raw_decode(text, at)[1], fault
    except RecursionError as error:
        raise InvalidRequest("", TOO_DEEP) from error
    except ValueError as error:
        raise InvalidRequest("", NOT_JSON) from error


def _end(text: str, at: int) -> None:
    if text[at : at + 1] != "]" or _skip(text, at + 1) != len(text):
        raise InvalidRequest("", NOT_JSON)


def _skip(text: str, at: int) -> int:
    match = _WHITESPACE.match(text, at)
    return match.end() if match else at


def explain(error: msgspec.ValidationError) -> InvalidRequest:
    """The field and the reason out of msgspec's message, which never holds a value."""
    message, field = str(error), ""
    if located := _AT.fullmatch(message):
        message, field = located.groups()
    if missing := _MISSING.fullmatch(message):
        return InvalidRequest(missing[1], "is missing")
    if message == "Number out of range":
        return InvalidRequest(field, "must be a finite number")
    if mismatch := _MISMATCH.fullmatch(message):
        message = _mismatch(*mismatch.groups())
    return InvalidRequest(field, message)


def _mismatch(wanted: str, got: str | None, bound: str | None) -> str:
    if bound:
        return f"must be {bound}"
    if "|" in wanted:
        return NOT_ROWS
    return f"must be {_KINDS.get(wanted, wanted)}, not {_KINDS.get(got or '', got)}"
