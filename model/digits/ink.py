"""Preprocessing: from the pixels of a picture to the ink of one digit, as MNIST has it.

MNIST's digits were scaled into 20 × 20 pixels with their aspect ratio kept, and placed in 28 × 28
with their centre of mass in the middle: LeCun, Bottou, Bengio and Haffner, Gradient-based learning
applied to document recognition (1998), section III.A. Ink is what differs from the background, and
the background is the colour of the border: so polarity and colours do not matter.
"""

from typing import Any, Final, TypeAlias

import numpy as np

from model.errors import InvalidRequest

Array: TypeAlias = np.ndarray[Any, Any]

SIDE: Final = 28
_BOX: Final = 20
# The row and the column of the centre of mass, counted from 0.
_CENTRE: Final = 14
# Pictures are reduced to about this many pixels a side: a digit needs no more.
LARGEST: Final = 320
# A picture whose greatest contrast, of 255, is less has no digit.
_LEAST_CONTRAST: Final = 24
# Of the greatest contrast: what has less is background.
_LEAST_INK: Final = 0.3
# Fewer pixels of ink are not a digit.
_LEAST_PIXELS: Final = 4
# Frames around the picture that are removed at most, and how much of each side is one's.
_FRAMES: Final = 12
_FRAME_SHARE: Final = 0.9
# The ink of a stroke that is widened by a pixel on each side is so many times as much as that of a
# broad one, at most. One in ten images of MNIST is thinner.
_THIN: Final = 0.42
# Values of ink at and above this quantile are black: of thin strokes little is left by scaling.
_BLACK: Final = 0.8


class Ink:
    """The ink of a picture, and what is known of the picture for drift.

    `pixels` are (28, 28) of uint8, 0 where there is none. `brightness` is the mean grey of the
    picture from 0 to 1, `share` that of the ink in `pixels`, `size` the longer side of the picture
    in pixels.
    """

    __slots__ = ("brightness", "pixels", "share", "size")

    def __init__(self, pixels: Array, brightness: float, size: int) -> None:
        self.pixels = pixels
        self.brightness = brightness
        self.share = float(pixels.mean()) / 255
        self.size = size


def ink_of(picture: Array) -> Ink:
    """The ink of a picture of uint8: (h, w) grey, (h, w, 3) RGB or (h, w, 4) RGBA.

    Raises InvalidRequest for a picture without a digit.
    """
    colours = _opaque(_reduced(picture))
    brightness = float(colours.mean()) / 255
    contrast = _on_its_paper(*_without_frames(colours))
    contrast = np.where(contrast > _LEAST_INK / 2 * contrast.max(), contrast, 0)
    return Ink(_centred(_scaled(contrast)), brightness, max(picture.shape[:2]))


def _reduced(picture: Array) -> Array:
    """The picture as (h, w, channels) of float32, by means of squares if it is large."""
    channels = picture.reshape(*picture.shape[:2], -1)
    height, width, depth = channels.shape
    side = max(height, width) // LARGEST
    if side < 2 or min(height, width) < side:
        return channels.astype(np.float32)
    rows, columns = height // side, width // side
    squares = channels[: rows * side, : columns * side].reshape(rows, side, columns, side, depth)
    means: Array = squares.mean((1, 3), dtype=np.float32)
    return means


def _opaque(channels: Array) -> Array:
    """Colours without transparency: light ones stand on black, dark ones on white."""
    if channels.shape[2] != 4:
        return channels
    colours, alpha = channels[:, :, :3], channels[:, :, 3:] / 255
    if alpha.min() == 1:
        return colours
    is_light = (colours * alpha).mean() > 127 * alpha.mean()
    return colours * alpha + (0 if is_light else 255) * (1 - alpha)


def _without_frames(colours: Array) -> tuple[Array, Array]:
    """The part without frames around the digit, and how much its pixels differ from its border.

    Where the ink fills all sides of its own box it is a frame, or the edge of a picture in the
    picture, and the digit is inside. If nothing is inside, it is a straight stroke.
    """
    contrast = _contrast(colours)
    _check(contrast)
    for _ in range(_FRAMES):
        ink = _is_ink(contrast)
        box = _box(ink)
        if not _is_frame(ink[box]):
            break
        inside = _contrast(colours[box])
        if inside.max() < _LEAST_CONTRAST or inside.shape == contrast.shape:
            break
        colours, contrast = colours[box], inside
    return colours, contrast


def _on_its_paper(colours: Array, contrast: Array) -> Array:
    """How much the pixels in the digit's box differ from the paper there, (h, w)."""
    ink = _is_ink(contrast)
    box = _box(ink)
    paper = colours[box][~ink[box]]
    if not len(paper):
        return contrast[box]
    return _difference(colours[box], np.median(paper, axis=0))


def _contrast(colours: Array) -> Array:
    border = np.concatenate((colours[0], colours[-1], colours[:, 0], colours[:, -1]))
    return _difference(colours, np.median(border, axis=0))


def _difference(colours: Array, colour: Array) -> Array:
    return np.abs(colours - colour).max(2)  # type: ignore[no-any-return]


def _is_ink(contrast: Array) -> Array:
    return contrast > _LEAST_INK * contrast.max()  # type: ignore[no-any-return]


def _check(contrast: Array) -> None:
    if contrast.max() < _LEAST_CONTRAST or _is_ink(contrast).sum() < _LEAST_PIXELS:
        raise InvalidRequest("image", "no digit is in the picture", "unreadable")


def _box(ink: Array) -> tuple[slice, slice]:
    """The rows and columns that have ink."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _is_frame(ink: Array) -> bool:
    sides = ink[0], ink[-1], ink[:, 0], ink[:, -1]
    return min(ink.shape) > 2 and all(side.mean() >= _FRAME_SHARE for side in sides)


def _scaled(contrast: Array) -> Array:
    """The ink with a longest side of 20, from 0 to 1; thin strokes are as broad as MNIST's."""
    ink = _resized(contrast, _BOX)
    if ink.sum() < _THIN * _widened(ink).sum():
        ink = _smoothed(_resized(contrast, _BOX - 2))
    black = np.quantile(ink[ink > _LEAST_INK * ink.max()], _BLACK)
    scaled: Array = np.minimum(ink / black, 1)
    return scaled


def _resized(contrast: Array, longest: int) -> Array:
    height, width = contrast.shape
    scale = longest / max(height, width)
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    return _means(height, rows) @ contrast @ _means(width, columns).T


def _widened(ink: Array) -> Array:
    """The maxima of all squares of 3 × 3."""
    squares = np.lib.stride_tricks.sliding_window_view(np.pad(ink, 2), (3, 3))
    return squares.max((2, 3))  # type: ignore[no-any-return]


def _smoothed(ink: Array) -> Array:
    """The binomial means of all squares of 3 × 3; two rows and columns more."""
    padded = np.pad(ink, 2)
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16  # type: ignore[no-any-return]


def _means(many: int, few: int) -> Array:
    """The matrix (few, many) that makes `few` means of `many` values, each over its part."""
    edges = np.linspace(0, many, few + 1)
    at = np.arange(many)
    overlaps = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    weights = np.maximum(overlaps, 0)
    return weights / weights.sum(1, keepdims=True)  # type: ignore[no-any-return]


def _centred(ink: Array) -> Array:
    """The ink in 28 × 28, its centre of mass in the middle."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    begins = []
    for axis, size in enumerate(ink.shape):
        mass = ink.sum(1 - axis)
        centre = float(mass @ np.arange(size) / mass.sum())
        begins.append(min(max(round(_CENTRE - centre), 0), SIDE - size))
    top, left = begins
    pixels[top : top + ink.shape[0], left : left + ink.shape[1]] = np.round(ink * 255)
    return pixels
