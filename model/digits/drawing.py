"""Digits drawn by strokes: white on black, continuous or in dots."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Stroke: TypeAlias = Array

_STEPS: Final = 40
# Between points of continuous strokes, in pixels.
_CLOSE: Final = 0.5


class Pen(NamedTuple):
    """How a digit is drawn, in pixels: the pen's `radius`, and the `gap` between centres of dots.

    A gap of 0 makes continuous strokes. `slant` moves the top to the right by a share of the width,
    and `margin` is the share of each side that stays free.
    """

    radius: float = 1.5
    gap: float = 0.0
    slant: float = 0.0
    margin: float = 0.12


def _arc(x: float, y: float, radii: tuple[float, float], degrees: tuple[int, int]) -> Stroke:
    """Points (n, 2) of an ellipse around x and y; degrees go clockwise from the right."""
    angles = np.radians(np.linspace(*degrees, _STEPS))
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points: Stroke = np.array((x, y)) + np.array(radii) * circle
    return points


def _lines(*points: tuple[float, float]) -> Stroke:
    return np.array(points)


def _joined(*strokes: Stroke) -> Stroke:
    return np.concatenate(strokes)


# In a square of 0 to 1, x to the right and y downwards.
_STROKES: Final[Sequence[Sequence[Stroke]]] = (
    (_arc(0.5, 0.5, (0.3, 0.45), (0, 360)),),
    (_lines((0.37, 0.22), (0.52, 0.05), (0.52, 0.95)),),
    (_joined(_arc(0.5, 0.3, (0.28, 0.25), (190, 390)), _lines((0.2, 0.95), (0.82, 0.95))),),
    (_arc(0.48, 0.28, (0.26, 0.23), (200, 430)), _arc(0.48, 0.72, (0.3, 0.24), (-80, 160))),
    (_lines((0.62, 0.05), (0.2, 0.65), (0.85, 0.65)), _lines((0.62, 0.35), (0.62, 0.97))),
    (
        _joined(
            _lines((0.75, 0.07), (0.32, 0.07), (0.28, 0.45)),
            _arc(0.46, 0.67, (0.3, 0.27), (-120, 150)),
        ),
    ),
    (_joined(_lines((0.68, 0.05), (0.4, 0.3)), _arc(0.5, 0.68, (0.26, 0.27), (200, 560))),),
    (_lines((0.2, 0.08), (0.8, 0.08), (0.42, 0.96)),),
    (_arc(0.5, 0.28, (0.22, 0.21), (0, 360)), _arc(0.5, 0.72, (0.27, 0.24), (0, 360))),
    (_joined(_arc(0.5, 0.32, (0.26, 0.26), (0, 360)), _lines((0.74, 0.45), (0.62, 0.96))),),
)


def drawn(digit: int, pen: Pen, size: tuple[int, int] = (87, 86)) -> Array:
    """A picture of uint8 of a digit, of this height and width, white on black."""
    picture = np.zeros(size)
    for stroke in _STROKES[digit]:
        leaning = stroke + np.stack((pen.slant * (0.5 - stroke[:, 1]), 0 * stroke[:, 1]), axis=1)
        scaled = (pen.margin + leaning * (1 - 2 * pen.margin)) * size[::-1]
        for x, y in _dots(scaled, pen.gap or _CLOSE):
            _add_dot(picture, x, y, pen.radius)
    return np.round(255 * picture).astype(np.uint8)


def _add_dot(picture: Array, x: float, y: float, radius: float) -> None:
    top, left = (max(int(place - radius) - 1, 0) for place in (y, x))
    part = picture[top : int(y + radius) + 2, left : int(x + radius) + 2]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    distance = np.hypot(rows + (top + 0.5 - y), columns + (left + 0.5 - x))
    np.maximum(part, np.clip(radius + 0.5 - distance, 0, 1), out=part)


def _dots(stroke: Stroke, gap: float) -> Array:
    """The points of a stroke at equal distances along it."""
    lengths = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))))
    places = np.arange(0, lengths[-1] + gap / 2, gap)
    return np.stack([np.interp(places, lengths, stroke[:, axis]) for axis in (0, 1)], axis=1)
