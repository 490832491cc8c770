"""One request: a picture file, of which the ink of its digit is kept."""

from typing import Annotated

from msgspec import Meta, Struct

from model.digits.ink import LARGEST, Array, Ink, ink_of
from model.pictures.decoder import decoded
from model.pictures.picture_decoder import PictureDecoder


class PictureFile(Struct):
    """A picture of one digit, as it is sent."""

    image: Annotated[bytes, Meta(description="A PNG, JPEG, WebP, GIF or BMP file, in base64.")]


class Picture(Struct):
    """The ink of a picture."""

    image: Ink


def decoder(max_rows: int) -> PictureDecoder[PictureFile, Picture]:
    """What reads bodies: one picture, or an array of at most `max_rows`."""
    return PictureDecoder(PictureFile, lambda sent: picture_of(sent.image), max_rows)


def picture_of(blob: bytes) -> Picture:
    """The request of a picture file. Raises InvalidRequest and NoDecoder."""
    return picture_of_pixels(decoded(blob, LARGEST, keep_alpha=True))


def picture_of_pixels(pixels: Array) -> Picture:
    """The request of pixels of uint8, as for `ink_of`. Raises InvalidRequest."""
    return Picture(ink_of(pixels))
