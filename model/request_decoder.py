"""Request decoding: from the bytes of a body to validated requests, for any request type.

A body is one object or an array of them; either may have been encoded once more as a JSON string.
One msgspec call decodes an object or a slice of an array. Only what msgspec refuses, and what may
repeat a key, is read a second time by the strict reader.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain, pairwise
from math import isfinite
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Raw

from model.errors import InvalidRequest, TooManyRows
from model.json_split import NotAnArray, ends_of_elements
from model.strict_json import NOT_FINITE, NOT_JSON, TOO_DEEP, StrictReader
from model.utf8 import body_text, checking, is_array, without_bom

T = TypeVar("T", bound=msgspec.Struct)

# Bytes of an array that are decoded at once: some milliseconds of work.
SLICE_BYTES: Final = 512 * 1024
LONGEST_ROW: Final = 64 * 1024
# Elements that are decoded one by one before the server may turn to other requests.
_SINGLE_ROWS: Final = 64
_BLANKS: Final = b" \t\r\n"
# A colon behind a quote or a blank: searching for the colon first is up to three times as fast as
# for the quote, of which there are more.
_KEY_ENDS: Final = re.compile(rb':(?<=["' + _BLANKS + rb"]:)")
_ROWS_MEET: Final = re.compile(rb"\}[ \t\r\n]*(,)[ \t\r\n]*\{")
# msgspec's names of types, for both the expected and the sent one.
_KINDS: Final = {
    "float": "a number",
    "int": "an integer",
    "str": "a string",
    "object": "an object",
    "array": "a list",
    "bytes": "bytes in base64",
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


class _Unclear(Exception):
    """An array that has to be decoded element by element."""


class RequestDecoder(Generic[T]):
    """Decodes bodies into requests of one struct type, all of whose fields are required."""

    def __init__(
        self,
        kind: type[T],
        hook: Callable[[type, object], Any],
        max_rows: int = 10_000,
        longest_row: int = LONGEST_ROW,
    ) -> None:
        """`max_rows` limits the rows of an array, `longest_row` the bytes of each."""
        self._max_rows = max_rows
        self._longest_row = longest_row
        self._reader = StrictReader(frozenset(kind.__struct_fields__))
        self._keys = len(kind.__struct_fields__)
        self._body = msgspec.json.Decoder(
            kind | list[kind] | str,  # type: ignore[valid-type]
            strict=False,
            dec_hook=hook,
        )
        self._row = msgspec.json.Decoder(kind | str, strict=False, dec_hook=hook)
        self._raw_rows = msgspec.json.Decoder(list[Raw])
        self._text = msgspec.json.Decoder(str)

    def __call__(self, body: bytes) -> T | list[T | InvalidRequest]:
        """One request, or for an array its requests in order, each unreadable one in its place.

        Raises InvalidRequest when nothing in the body can be read.
        """
        if is_array(body):
            return list(chain.from_iterable(self.slices(body)))
        try:
            value: T | str = self._body.decode(body)
        except RecursionError:
            raise InvalidRequest("", TOO_DEEP) from None
        except (msgspec.DecodeError, UnicodeError) as error:
            bare = without_bom(body)
            if len(bare) < len(body):
                return self(bare)
            raise self._fault(body_text(body), error) from None
        if isinstance(value, str):
            return self._encoded_twice(value)
        if not self._has_no_repeats(body, 1):
            self._reader.check(body_text(body))
        return value

    def slices(self, body: bytes) -> Iterator[list[T | InvalidRequest]]:
        """The requests of an array in order, a slice at a time, each unreadable one in its place.

        A step takes some milliseconds, whatever the body is; some steps yield no requests. Raises
        InvalidRequest before the first requests are yielded, if the body can't be read as a whole.
        """
        body = without_bom(body).strip(_BLANKS)
        if body[:1] == b'"':
            body = yield from self._unescaped(body)
        if body[:1] != b"[" or b"\0" in body[:4]:
            body_text(body)
            raise InvalidRequest("", NOT_JSON)
        if len(body) <= SLICE_BYTES:
            yield from self._slice(body)
            return
        try:
            cuts = yield from self._cuts(body)
        except _Unclear:
            yield from self._row_by_row(body)
        else:
            for begin, end in pairwise(cuts):
                yield from self._slice(b"[%b]" % body[begin + 1 : end])

    def _slice(self, body: bytes) -> Iterator[list[T | InvalidRequest]]:
        """The requests of an array that is short enough to be decoded at once."""
        rows: list[T] | None = None
        try:
            if len(body) > self._longest_row:
                self._count(body)
            rows = self._body.decode(body)
        except RecursionError:
            raise InvalidRequest("", TOO_DEEP) from None
        except (msgspec.DecodeError, UnicodeError, _Unclear):
            pass  # handled below: the error would keep all that was decoded in memory
        if rows is None or not self._has_no_repeats(body, len(rows)):
            yield from self._row_by_row(body)
            return
        if len(rows) > self._max_rows:
            raise TooManyRows(self._max_rows)
        yield list(rows)

    def _cuts(self, body: bytes) -> Generator[list[Any], None, list[int]]:
        """Where an array can be cut into slices: its first byte, some commas, its last byte.

        A cut may fall into a text that looks like the end of one row and the start of the next.
        Then what precedes it is not JSON, and this raises _Unclear: valid slices make up a valid
        array.
        """
        if body[-1:] != b"]":
            raise _Unclear
        cuts, rows = [0], 0
        while cuts[-1] < len(body) - 1:
            begin = cuts[-1]
            cut = len(body) - 1
            if begin + SLICE_BYTES < cut:
                latest = begin + SLICE_BYTES + self._longest_row
                meeting = _ROWS_MEET.search(body, begin + SLICE_BYTES, latest)
                if meeting is None:
                    raise _Unclear
                cut = meeting.start(1)
            cuts.append(cut)
            rows += self._count(b"[%b]" % body[begin + 1 : cut])
            if rows > self._max_rows:
                raise TooManyRows(self._max_rows)
            yield []
        return cuts

    def _count(self, body: bytes) -> int:
        """How many rows a valid array has. Raises _Unclear if it is not, or a row is too long."""
        try:
            body.decode()
            rows = self._raw_rows.decode(body)
        except RecursionError:
            raise InvalidRequest("", TOO_DEEP) from None
        except (msgspec.DecodeError, UnicodeError):
            raise _Unclear from None
        if max(map(len, rows), default=0) > self._longest_row:
            raise _Unclear
        return len(rows)

    def _row_by_row(self, body: bytes) -> Iterator[list[T | InvalidRequest]]:
        for _ in checking(body, SLICE_BYTES):
            yield []
        rows: list[T | InvalidRequest] = []
        begin = 1
        try:
            for ends in ends_of_elements(body):
                if len(rows) + len(ends) > self._max_rows:
                    raise TooManyRows(self._max_rows)
                for end in ends:
                    rows.append(self._element(body, begin, end))
                    begin = end + 1
                    if len(rows) % _SINGLE_ROWS == 0:
                        yield []
                yield []
        except NotAnArray:
            raise InvalidRequest("", NOT_JSON) from None
        yield rows

    def _element(self, body: bytes, begin: int, end: int) -> T | InvalidRequest:
        """An element of an array. Raises InvalidRequest when it is not JSON."""
        if end - begin > self._longest_row:
            reason = f"the row is longer than {self._longest_row} bytes"
            return InvalidRequest("", reason, "length")
        text = body[begin:end].decode()
        return self._reader.fault(text) or self._one(text)

    def _unescaped(self, body: bytes) -> Generator[list[Any], None, bytes]:
        """The bytes that a JSON string holds: a piece at a time, each cut after a comma.

        A comma is never part of an escape, so that every piece is a string too.
        """
        decoded, at, last = bytearray(), 1, len(body) - 1
        if last < 1 or body[last:] != b'"':
            raise InvalidRequest("", NOT_JSON)
        while at < last:
            end = last
            if at + SLICE_BYTES < last:
                latest = at + SLICE_BYTES + self._longest_row
                end = body.find(b",", at + SLICE_BYTES, latest) + 1
                if not end and latest >= last:
                    end = last
            if not end:
                raise InvalidRequest("", NOT_JSON)
            try:
                decoded += self._text.decode(b'"%b"' % body[at:end]).encode()
            except (msgspec.DecodeError, UnicodeError):
                body_text(body)
                raise InvalidRequest("", NOT_JSON) from None
            at = end
            yield []
        text = without_bom(bytes(decoded)).strip(_BLANKS)
        if text[:1] == b'"':
            raise InvalidRequest("", NOT_ROWS)
        return text

    def _encoded_twice(self, text: str) -> T | list[T | InvalidRequest]:
        body = text.encode()
        if body.lstrip()[:1] == b'"':
            raise InvalidRequest("", NOT_ROWS)
        return self(body)

    def _has_no_repeats(self, body: bytes, rows: int) -> bool:
        """Whether no key in the body is repeated; false when that does not show at once.

        msgspec keeps the last of two equal keys; a request must not be read two ways. Every key
        is followed by a colon, which stands behind the key's quote or a blank, so the count of
        such colons is never less than the number of keys; all fields are required, so it is never
        less than rows times fields. Equality therefore proves that each row has its fields once
        and nothing else.
        """
        return len(_KEY_ENDS.findall(body)) == self._keys * rows

    def _fault(self, text: str, error: Exception) -> InvalidRequest:
        """Why msgspec refused one object."""
        if isinstance(error, msgspec.ValidationError):
            return invalid_request(error, partial(_sent, text))
        try:
            self._reader.check(text)
        except InvalidRequest as fault:
            return _without_trace(fault)
        return InvalidRequest("", NOT_JSON)

    def _one(self, text: str) -> T | InvalidRequest:
        try:
            value = self._row.decode(text)
            if isinstance(value, str):
                text = value.removeprefix(BOM_UTF8.decode())
                self._reader.check(text)
                value = self._row.decode(text)
        except InvalidRequest as fault:
            return _without_trace(fault)
        except (msgspec.DecodeError, UnicodeError) as error:
            return self._fault(text, error)
        return InvalidRequest("", NOT_A_ROW) if isinstance(value, str) else value


def _without_trace(fault: InvalidRequest) -> InvalidRequest:
    """A fault without its traceback, whose frames would keep the whole text in memory.

    An array may have thousands of faults, which are kept until the reply is written.
    """
    fault.__traceback__ = fault.__context__ = None
    return fault


def _sent(text: str, field: str) -> object:
    """The value that an object has for a field, None if it can't be determined."""
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # the fault itself is reported
        return None
    return fields.get(field) if isinstance(fields, dict) else None


def invalid_request(
    error: msgspec.ValidationError, sent: Callable[[str], object]
) -> InvalidRequest:
    """The field and the reason out of msgspec's message, which never holds a value.

    `sent` returns the value that was sent for a field: it is inspected, never repeated.
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
    """The reason and its kind; `wanted`, `got` and `bound` are parts of msgspec's message."""
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
        return "has a decimal comma instead of a point"
    # As tables write what is Boolean there.
    if text.strip().lower() in ("true", "false"):
        return _other_type(wanted, "bool")
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
