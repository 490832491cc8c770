"""The middle of a picture, of the size that the network takes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.pictures.decoder import decoded
from model.pictures.extra import image_library

Pixels = NDArray[np.uint8]

SIDE: Final = 224
# The network was trained on crops of 224 of pictures whose shorter side is 256.
SHORTER: Final = 256


class Crop:
    """Pixels of shape (224, 224, 3). A class, since msgspec decodes its own types otherwise.

    `size` are the width and the height of the picture that it was cut from, as it was decoded.
    """

    __slots__ = ("pixels", "size")

    def __init__(self, pixels: Pixels, size: tuple[int, int] = (SIDE, SIDE)) -> None:
        self.pixels = pixels
        self.size = size


def crop_of(blob: bytes) -> Crop:
    """The crop of a picture file. Raises InvalidRequest and NoDecoder."""
    return crop_of_pixels(decoded(blob, SHORTER))


def crop_of_pixels(pixels: Pixels) -> Crop:
    """The crop of pixels of shape (h, w, 3): the middle 7/8 of the shorter side, and a square."""
    height, width, _ = pixels.shape
    side = min(height, width) * SIDE / SHORTER
    left, top = (width - side) / 2, (height - side) / 2
    library = image_library()
    resized = library.fromarray(pixels).resize(
        (SIDE, SIDE), library.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return Crop(np.asarray(resized), (width, height))
