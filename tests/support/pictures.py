"""Files of pictures, made for tests."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def file_of(image: Image.Image, form: str, **options: Any) -> bytes:
    """A picture as a file."""
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """A picture's pixels, of shape (h, w, 3)."""
    return np.asarray(image.convert("RGB"))


def smooth() -> Image.Image:
    """A picture of 60 by 40 whose four corners differ, without sharp edges."""
    across, down = np.meshgrid(np.linspace(0, 255, 60), np.linspace(0, 255, 40))
    planes = np.stack([across, down, (across + down) / 4], axis=-1)
    return Image.fromarray(planes.astype(np.uint8))


def bomb() -> bytes:
    """A PNG file of 10 kB with 81 million pixels."""
    return file_of(Image.new("1", (9000, 9000)), "PNG", optimize=True)


def many_frames(frames: int) -> bytes:
    """A GIF file of red frames of 30 by 20."""
    one = file_of(Image.new("P", (30, 20)), "GIF", optimize=False)
    colours = 3 * 2 ** ((one[10] & 7) + 1)
    head, frame = one[:13] + b"\xff\0\0" + one[16 : 13 + colours], one[13 + colours : -1]
    return head + frame * frames + b";"


def turned_by_exif(image: Image.Image, orientation: int, form: str = "PNG") -> bytes:
    """A file of this picture as a camera that was held askew writes it."""
    stored = {
        1: image,
        2: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: image.transpose(Image.Transpose.ROTATE_180),
        4: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: image.transpose(Image.Transpose.TRANSPOSE),
        6: image.transpose(Image.Transpose.ROTATE_90),
        7: image.transpose(Image.Transpose.TRANSVERSE),
        8: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file_of(stored, form, exif=exif)


def five() -> Image.Image:
    """A five of strokes, white on black."""
    image = Image.new("L", (90, 90))
    lines = [(60, 18), (34, 18), (31, 42), (48, 38), (60, 46), (60, 62), (48, 72), (30, 68)]
    ImageDraw.Draw(image).line(lines, fill=255, width=7, joint="curve")
    return image
