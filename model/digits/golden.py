"""The golden pictures: each digit drawn by a broad pen and by dots, scored before serving."""

from functools import cache

from model.digits.drawing import Pen, drawn
from model.digits.request import Picture, picture_of_pixels


@cache
def pictures() -> list[Picture]:
    """Twenty pictures: the digits from 0 in broad strokes, then in dots."""
    broad = [drawn(digit, Pen(4.0)) for digit in range(10)]
    dotted = [drawn(digit, Pen(1.5, gap=5.0)) for digit in range(10)]
    return [picture_of_pixels(picture) for picture in (*broad, *dotted)]
