"""One request: a picture file, of which the middle is decoded at once, and what is asked of it."""

from base64 import b64decode
from binascii import Error
from collections.abc import Collection
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from model.errors import InvalidRequest
from model.imagenet.crop import Crop, crop_of
from model.imagenet.queries import Query, queries
from model.pictures.decoder import LIMITS
from model.request_decoder import RequestDecoder

# A request in an array, in bytes: base64 makes four of three.
LONGEST: Final = LIMITS.file_bytes * 4 // 3 + 1024
_NOT_BASE64: Final = "must be the bytes of a picture file in base64"


class Asked(str):
    """The name of a query, one of the known ones."""

    __slots__ = ()

    @property
    def query(self) -> Query:
        """The query of this name."""
        return queries()[self]


class Picture(Struct):
    """A picture, and what is asked of it."""

    image: Annotated[Crop, Meta(description="A PNG, JPEG, WebP, GIF or BMP file, in base64.")]
    query: Annotated[
        Asked | None,
        Meta(description="A question of yes or no. Without one: that of the model, if it has one."),
    ] = None


def decoder(known: Collection[str], max_rows: int) -> RequestDecoder[Picture]:
    """What reads bodies: a picture with one of these queries, or an array of at most `max_rows`."""
    return RequestDecoder(Picture, partial(_decode_custom, known), max_rows, LONGEST)


def _decode_custom(known: Collection[str], kind: type, value: object) -> Any:
    """msgspec's `dec_hook`: raises ValueError, to which the field is added."""
    return _asked(known, value) if kind is Asked else _crop(value)


def _asked(known: Collection[str], value: object) -> Asked:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return Asked(value)


def _crop(value: object) -> Crop:
    if not isinstance(value, str):
        raise ValueError(_NOT_BASE64)  # noqa: TRY004 - msgspec adds the field to either
    try:
        return crop_of(b64decode(value, validate=True))
    except (Error, UnicodeError):
        raise ValueError(_NOT_BASE64) from None
    except InvalidRequest as fault:
        raise ValueError(fault.reason) from None


def describe_custom(known: Collection[str], kind: type) -> dict[str, Any]:
    """msgspec's `schema_hook`."""
    if kind is Asked:
        return {"type": "string", "enum": [*known]}
    return {"type": "string", "contentEncoding": "base64"}
