"""Pixels to a PNG file to be stored: it has no metadata, and nothing else of the file sent."""

from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.pictures.extra import image_library

# A picture is reduced to this many pixels a side: else a panorama of 8 MiB would become a file of
# 75 MB.
LONGEST_SIDE: Final = 1600


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """The PNG file of pixels in rows, of shape (h, w, 3) or, with transparency, (h, w, 4).

    The same pixels make the same file.
    """
    file = BytesIO()
    image = image_library().fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    image.save(file, "PNG")
    return file.getvalue()
