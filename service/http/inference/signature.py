"""The inputs and outputs of a model, made of the types of its requests and scores."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct, inspect

from model.scorer import Model


class Datatype(Enum):
    """The protocol's types of elements that fields of JSON can have."""

    BOOL = "BOOL"
    BYTES = "BYTES"
    FP64 = "FP64"
    INT64 = "INT64"


class Content(Enum):
    """What an element of BYTES is: text, JSON, or bytes, which a body of JSON has in base64."""

    TEXT = "text"
    JSON = "json"
    BASE64 = "base64"


class Tensor(NamedTuple):
    """A field of a request or a score as a tensor, with one element for each row."""

    name: str
    datatype: Datatype
    content: Content
    required: bool


class TensorMetadata(Struct):
    """A tensor as metadata show it; -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class Signature(NamedTuple):
    """The tensors of a model. `scores` are the names of those that need no details."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scores: frozenset[str]


def signature_of(model: Model) -> Signature:
    """The signature of a model: an input for each field of its requests, an output for each field.

    Outputs are the fields of what `?detail=1` replies with, those of the score among them.
    """
    scores = frozenset(field.name for field in msgspec.structs.fields(model.score))
    return Signature(_tensors(model.request), _tensors(model.detail), scores)


def described(tensors: Sequence[Tensor]) -> list[TensorMetadata]:
    """Tensors for the metadata."""
    return [TensorMetadata(one.name, one.datatype.value, [-1]) for one in tensors]


_DATATYPES: Final[dict[type, Datatype]] = {
    inspect.BoolType: Datatype.BOOL,
    inspect.FloatType: Datatype.FP64,
    inspect.IntType: Datatype.INT64,
}
# A field of a type of the model's own is text to begin with.
_TEXTS: Final = (inspect.StrType, inspect.CustomType, inspect.EnumType, inspect.DateTimeType)


def _tensors(kind: type[Struct]) -> tuple[Tensor, ...]:
    described: Any = inspect.type_info(kind)
    return tuple(
        Tensor(field.encode_name, *_typed(field.type), field.required) for field in described.fields
    )


def _typed(kind: Any) -> tuple[Datatype, Content]:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    datatype = _DATATYPES.get(type(kind), Datatype.BYTES)
    return datatype, _content(kind)


def _content(kind: Any) -> Content:
    is_text = isinstance(kind, _TEXTS)
    if isinstance(kind, inspect.LiteralType):
        is_text = all(isinstance(value, str) for value in kind.values)
    if is_text:
        return Content.TEXT
    return Content.BASE64 if isinstance(kind, inspect.BytesType) else Content.JSON
