"""The elements of tensors: read from JSON or bytes, and written.

Faults are InvalidRequest and name the input, or its place if the model has none of its name.
"""

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from math import isfinite
from typing import Any, Final

import msgspec
from msgspec import Raw

from model import InvalidRequest
from service.http.inference.signature import Content, Datatype, Tensor

_INT64: Final = range(-(2**63), 2**63)
_WANTED: Final = {
    Datatype.BOOL: "true or false",
    Datatype.BYTES: "a string",
    Datatype.FP64: "a number",
    Datatype.INT64: "an integer of 64 bits",
}
_FORMATS: Final = {Datatype.BOOL: "?", Datatype.FP64: "d", Datatype.INT64: "q"}
_LENGTH: Final = struct.Struct("<I")


def rows_of(name: str, shape: Sequence[int], max_rows: int) -> int:
    """How many rows a tensor of this shape has, [N] or [N, 1]."""
    if len(shape) not in {1, 2} or shape[1:] not in ([], [1]):
        raise InvalidRequest(name, "the shape must be [N] or [N, 1] for N rows", "count")
    if not 1 <= shape[0] <= max_rows:
        raise InvalidRequest(name, f"the shape must be of 1 to {max_rows} rows", "count")
    return shape[0]


def from_json(tensor: Tensor, data: object, rows: int) -> list[Any]:
    """The elements of a tensor out of its `data`, flat or a list for each row."""
    if not isinstance(data, list):
        raise InvalidRequest(tensor.name, "data must be a list", "type")
    nested = data and all(isinstance(element, list) for element in data)
    elements = list(chain.from_iterable(data)) if nested else data
    _check_count(tensor, len(elements), rows)
    fits = _FITS[tensor.datatype]
    for number, element in enumerate(elements):
        if not fits(element):
            reason = f"data[{number}] must be {_WANTED[tensor.datatype]}"
            raise InvalidRequest(tensor.name, reason, "type")
    return elements


def from_bytes(tensor: Tensor, data: bytes, rows: int) -> list[Any]:
    """The elements of a tensor out of bytes, as the extension lays them out."""
    if tensor.datatype is Datatype.BYTES:
        elements: list[Any] = list(_strings(tensor, data))
        _check_count(tensor, len(elements), rows)
        return elements
    layout = struct.Struct(f"<{rows}{_FORMATS[tensor.datatype]}")
    if len(data) != layout.size:
        reason = f"{len(data)} bytes came, where {rows} elements take {layout.size}"
        raise InvalidRequest(tensor.name, reason, "count")
    return list(layout.unpack(data))


def to_bytes(datatype: Datatype, elements: Sequence[Any]) -> bytes:
    """The bytes of elements that are to be replied."""
    if datatype is not Datatype.BYTES:
        return struct.pack(f"<{len(elements)}{_FORMATS[datatype]}", *elements)
    texts = [element.encode() for element in elements]
    return b"".join(piece for text in texts for piece in (_LENGTH.pack(len(text)), text))


def for_body(tensor: Tensor, elements: Sequence[Any]) -> list[Any]:
    """The elements of an input as the model's own body of JSON has them."""
    if tensor.datatype is Datatype.FP64:
        return [_float(tensor, number, element) for number, element in enumerate(elements)]
    if tensor.datatype is not Datatype.BYTES:
        return list(elements)
    converted = _INTO_BODY[tensor.content]
    return [converted(tensor, number, element) for number, element in enumerate(elements)]


def text_of(tensor: Tensor, number: int, element: str | bytes) -> str:
    """An element of BYTES as text."""
    if isinstance(element, str):
        return element
    try:
        return element.decode()
    except UnicodeError:
        raise InvalidRequest(tensor.name, f"data[{number}] is not UTF-8") from None


def from_score(tensor: Tensor, value: Any) -> Any:
    """A field of a score as an element of its output."""
    if tensor.datatype is not Datatype.BYTES or tensor.content is Content.TEXT:
        return value
    if tensor.content is Content.BASE64:
        return b64encode(value).decode()
    return msgspec.json.encode(value).decode()


def _check_count(tensor: Tensor, found: int, rows: int) -> None:
    if found != rows:
        reason = f"{found} elements came, where the shape is of {rows}"
        raise InvalidRequest(tensor.name, reason, "count")


def _strings(tensor: Tensor, data: bytes) -> Iterator[bytes]:
    """Strings, each after its length in four bytes."""
    at = 0
    while at < len(data):
        begin = at + _LENGTH.size
        end = begin + _LENGTH.unpack_from(data, at)[0] if begin <= len(data) else begin
        if end > len(data):
            raise InvalidRequest(tensor.name, "its bytes end within an element", "count")
        yield data[begin:end]
        at = end


def _float(tensor: Tensor, number: int, element: float) -> float:
    """A finite number: bytes may hold others, and JSON an integer that no float is near."""
    try:
        if isfinite(element):
            return float(element)
    except OverflowError:
        pass
    raise InvalidRequest(tensor.name, f"data[{number}] must be finite", "range")


def _json(tensor: Tensor, number: int, element: str | bytes) -> Raw:
    text = text_of(tensor, number, element)
    try:
        return msgspec.json.decode(text, type=Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidRequest(tensor.name, f"data[{number}] must be JSON") from None


def _base64(_tensor: Tensor, _number: int, element: str | bytes) -> str:
    """Strings of JSON are in base64 already: it has no bytes."""
    return element if isinstance(element, str) else b64encode(element).decode()


_FITS: Final[dict[Datatype, Callable[[object], bool]]] = {
    Datatype.BOOL: lambda element: isinstance(element, bool),
    Datatype.BYTES: lambda element: isinstance(element, str),
    Datatype.FP64: lambda element: type(element) in {int, float},
    Datatype.INT64: lambda element: type(element) is int and element in _INT64,
}
_INTO_BODY: Final[dict[Content, Callable[[Tensor, int, Any], Any]]] = {
    Content.TEXT: text_of,
    Content.JSON: _json,
    Content.BASE64: _base64,
}
