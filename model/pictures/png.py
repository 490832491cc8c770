"""Pixels to a PNG file to be stored: it has no metadata, and nothing else of the file sent."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from model.pictures.extra import image_library


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """The PNG file of pixels in rows, of shape (h, w, 3). The same pixels make the same file."""
    file = BytesIO()
    image_library().fromarray(pixels).save(file, "PNG")
    return file.getvalue()
