"""One request: a picture file, of which the middle is decoded at once, and what is asked of it."""

from collections.abc import Collection
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from model.errors import InvalidRequest
from model.imagenet.crop import Crop, crop_of
from model.pictures.picture_decoder import PictureDecoder


class PictureFile(Struct):
    """A picture as it is sent, and what is asked of it."""

    image: Annotated[bytes, Meta(description="A PNG, JPEG, WebP, GIF or BMP file, in base64.")]
    query: Annotated[
        str, Meta(description='A question of yes or no; "" is that of the model, if it has one.')
    ] = ""


class Picture(Struct):
    """The middle of a picture, and the name of what is asked of it, "" for nothing."""

    image: Crop
    query: str = ""


def decoder(known: Collection[str], max_rows: int) -> PictureDecoder[PictureFile, Picture]:
    """What reads bodies: a picture with one of these queries, or an array of at most `max_rows`."""
    return PictureDecoder(PictureFile, partial(picture_of, known), max_rows)


def picture_of(known: Collection[str], sent: PictureFile) -> Picture:
    """The request of a file, with one of these queries. Raises InvalidRequest and NoDecoder."""
    if sent.query and sent.query not in known:
        raise InvalidRequest("query", f"must be one of {', '.join(known)}", "unseen")
    return Picture(crop_of(sent.image), sent.query)
