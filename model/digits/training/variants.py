"""Variants of images to learn from: turned, scaled, slanted, moved; thin, thick, dotted strokes."""

from typing import Any, Final, TypeAlias

import numpy as np

from model.digits.ink import SIDE, ink_of
from model.errors import InvalidRequest

Array: TypeAlias = np.ndarray[Any, Any]

_TURN: Final = np.deg2rad(14)
_SCALE: Final = 0.12
_SLANT: Final = 0.2
_SHIFT: Final = 1.5
# Strokes are drawn this many times larger.
_LARGER: Final = 4
_MARGIN: Final = 8


def moved(images: Array, random: np.random.Generator) -> Array:
    """Images (n, 28, 28), each turned, scaled, slanted and shifted a little at random."""
    count = len(images)
    turn, slant = random.uniform(-_TURN, _TURN, count), random.uniform(-_SLANT, _SLANT, count)
    scale = random.uniform(1 - _SCALE, 1 + _SCALE, (2, count))
    shift = random.uniform(-_SHIFT, _SHIFT, (2, count, 1, 1))
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    sine, cosine = np.sin(turn), np.cos(turn)
    rows = _mixed(cosine / scale[0], sine / scale[0], y, x) + shift[0]
    columns = _mixed((slant - sine) / scale[1], cosine / scale[1], y, x) + shift[1]
    return _sampled(images, rows + (SIDE - 1) / 2, columns + (SIDE - 1) / 2)


def _mixed(by_row: Array, by_column: Array, y: Array, x: Array) -> Array:
    mixed: Array = by_row[:, None, None] * y + by_column[:, None, None] * x
    return mixed


def _sampled(images: Array, rows: Array, columns: Array) -> Array:
    """The values of images at places (n, h, w) between their pixels; 0 outside."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    rows = np.clip(rows + 1, 0, SIDE + 1)
    columns = np.clip(columns + 1, 0, SIDE + 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    each = np.arange(len(images))[:, None, None]
    upper = padded[each, top, left] * (1 - right) + padded[each, top, left + 1] * right
    lower = padded[each, top + 1, left] * (1 - right) + padded[each, top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def redrawn(image: Array, random: np.random.Generator) -> Array:
    """An image (28, 28) of uint8 drawn again with another pen, and preprocessed as a picture."""
    places = np.arange(SIDE * _LARGER) / _LARGER - 0.5
    grid = np.meshgrid(places, places, indexing="ij")
    smooth = _sampled(image[None] / np.float32(255), *(axis[None] for axis in grid))[0]
    strokes = smooth > random.uniform(0.15, 0.9)
    if random.random() < 0.6:
        strokes &= _dots(strokes.shape, random)
    picture = np.pad(strokes * np.uint8(255), _MARGIN)
    try:
        return ink_of(picture).pixels
    except InvalidRequest:  # no dot fell on a thin stroke
        return image


def _dots(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Where round dots in rows are that run in a random direction."""
    period = random.uniform(4, 9)
    radius = period * random.uniform(0.3, 0.55)
    angle = random.uniform(0, np.pi / 2)
    y, x = np.mgrid[: shape[0], : shape[1]]
    along = np.cos(angle) * y + np.sin(angle) * x + random.uniform(0, period)
    across = np.cos(angle) * x - np.sin(angle) * y + random.uniform(0, period)
    from_dot = (along % period - period / 2) ** 2 + (across % period - period / 2) ** 2
    return from_dot <= radius**2  # type: ignore[no-any-return]
