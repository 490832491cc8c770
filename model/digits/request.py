"""One request: a picture file, decoded, and reduced to the ink of its digit, in one step."""

from base64 import b64decode
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from model.digits.ink import LARGEST, Array, Ink, ink_of
from model.errors import InvalidRequest
from model.pictures.decoder import decoded
from model.request_decoder import RequestDecoder

# Of a request in an array, in bytes of base64: a picture file of 4 MiB and more.
LONGEST: Final = 6 * 2**20
_NOT_BASE64: Final = "must be the bytes of a picture file in base64"


class Picture(Struct):
    """A picture of one digit."""

    image: Annotated[Ink, Meta(description="A PNG, JPEG or WebP file, in base64.")]


def picture_of(blob: bytes) -> Picture:
    """The request of a picture file. Raises InvalidRequest."""
    return picture_of_pixels(decoded(blob, LARGEST, keep_alpha=True))


def picture_of_pixels(pixels: Array) -> Picture:
    """The request of pixels of uint8, as for `ink_of`. Raises InvalidRequest."""
    return Picture(ink_of(pixels))


def decoder(max_rows: int) -> RequestDecoder[Picture]:
    """What reads bodies: one picture, or an array of at most `max_rows`."""
    return RequestDecoder(Picture, decode_custom, max_rows, LONGEST)


def decode_custom(_kind: type, value: object) -> Ink:
    """msgspec's `dec_hook` for `Ink`: raises ValueError, which names the field."""
    if not isinstance(value, str):
        raise ValueError(_NOT_BASE64)  # noqa: TRY004 - msgspec adds the field to either
    try:
        blob = b64decode(value, validate=True)
    except ValueError:
        raise ValueError(_NOT_BASE64) from None
    try:
        return picture_of(blob).image
    except InvalidRequest as fault:
        raise ValueError(fault.reason) from None


def describe_custom(_kind: type) -> dict[str, Any]:
    """msgspec's `schema_hook` for it."""
    return {"type": "string", "contentEncoding": "base64"}
