"""Preprocessing: any picture of a digit becomes ink as MNIST has it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import InvalidRequest
from model.digits import ink_of
from model.digits.drawing import Pen, drawn
from model.digits.ink import Array, Ink

_BROAD = Pen(4.0)
_SIX = drawn(6, _BROAD)


def _differ(first: Any, second: Any) -> float:
    """The mean difference of two inks as a share of the first one."""
    one, other = (each.pixels.astype(float) for each in (first, second))
    return float(np.abs(one - other).sum() / one.sum())


def test_the_ink_fills_20_pixels_with_its_centre_of_mass_in_the_middle() -> None:
    for digit in range(10):
        pixels = ink_of(drawn(digit, _BROAD)).pixels.astype(float)
        assert pixels.shape == (28, 28)
        assert pixels.max() == 255
        sides = [np.ptp(np.flatnonzero(pixels.any(axis))) + 1 for axis in (0, 1)]
        assert max(sides) == 20
        for axis in (0, 1):
            centre = pixels.sum(1 - axis) @ np.arange(28) / pixels.sum()
            assert centre == pytest.approx(14, abs=0.51)


@pytest.mark.parametrize("greys", [(255, 0), (0, 240), (200, 20), (90, 210), (140, 20)])
def test_polarity_and_contrast_make_no_difference(greys: tuple[int, int]) -> None:
    paper, pen = greys
    picture = np.round(paper + (pen - paper) * (_SIX / 255)).astype(np.uint8)
    assert _differ(ink_of(_SIX), ink_of(picture)) < 0.05


@given(st.tuples(*[st.integers(0, 60)] * 4))
@settings(max_examples=20, deadline=None)
def test_the_place_makes_no_difference(margins: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = margins
    moved = np.pad(_SIX, ((top, bottom), (left, right)))
    assert (ink_of(moved).pixels == ink_of(_SIX).pixels).all()


def test_a_digit_that_touches_the_border_is_found() -> None:
    rows, columns = np.flatnonzero(_SIX.any(1)), np.flatnonzero(_SIX.any(0))
    tight = _SIX[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert _differ(ink_of(_SIX), ink_of(tight)) < 0.05


@pytest.mark.parametrize("frame", [0, 90, 255])
@pytest.mark.parametrize("is_dark", [True, False])
def test_frames_are_removed(frame: int, *, is_dark: bool) -> None:
    picture = _SIX if is_dark else 255 - _SIX
    framed = np.pad(np.pad(picture, 15, constant_values=frame), 9, constant_values=200)
    assert _differ(ink_of(_SIX), ink_of(framed)) < 0.05


def test_a_straight_stroke_is_no_frame() -> None:
    stroke = np.zeros((60, 60), np.uint8)
    stroke[10:50, 27:34] = 255
    pixels = ink_of(stroke).pixels
    assert pixels.any(1).sum() == 20
    assert pixels.any(0).sum() == 4


def test_a_thin_stroke_is_as_broad_as_others() -> None:
    thin, broad = (ink_of(drawn(5, Pen(radius))) for radius in (0.6, 3.5))
    assert 0.5 * broad.share < thin.share < 1.5 * broad.share


def test_transparent_paper_is_light_for_a_dark_pen_and_dark_for_a_light_one() -> None:
    expected = ink_of(_SIX)
    for grey in (0, 255):
        colours = np.full((*_SIX.shape, 3), grey, np.uint8)
        picture = np.concatenate((colours, _SIX[..., None]), axis=2)
        assert _differ(expected, ink_of(picture)) < 0.01
        opaque = np.full_like(_SIX, 255)
        written = np.stack((_SIX, _SIX, _SIX, opaque), axis=2)
        assert (ink_of(written).pixels == expected.pixels).all()


def test_colours_of_equal_brightness_are_told_apart() -> None:
    paper, pen = np.array([200, 100, 50]), np.array([50, 150, 200])
    picture = paper + (pen - paper) * (_SIX[..., None] / 255)
    assert _differ(ink_of(_SIX), ink_of(picture.astype(np.uint8))) < 0.05


def test_noise_and_a_shade_of_the_paper_do_not_count() -> None:
    random = np.random.default_rng(0)
    noisy = 200.0 - 150 * (_SIX / 255) + random.normal(0, 6, _SIX.shape)
    shaded = np.clip(noisy - np.linspace(0, 20, _SIX.shape[1]), 0, 255).astype(np.uint8)
    assert _differ(ink_of(_SIX), ink_of(shaded)) < 0.2


def test_a_large_picture_is_the_same_digit() -> None:
    large = _SIX.repeat(10, 0).repeat(10, 1)
    assert _differ(ink_of(_SIX), ink_of(large)) < 0.1


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((40, 40), np.uint8),
        np.full((40, 40, 3), 255, np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.full((30, 50), 128, np.uint8) + np.eye(30, 50, dtype=np.uint8) * 9,
        np.zeros((1, 1), np.uint8),
        np.pad(np.full((1, 2), 255, np.uint8), 20),
    ],
    ids=["black", "white", "transparent", "faint", "one pixel", "a speck"],
)
def test_a_blank_picture_has_no_digit(picture: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InvalidRequest, match="no digit") as caught:
        ink_of(picture)
    assert caught.value.field == "image"


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([(), (1,), (3,), (4,)]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_any_picture_has_ink_or_no_digit(
    size: tuple[int, int], depth: tuple[int, ...], seed: int
) -> None:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (*size, *depth)).astype(np.uint8)
    made = _made(picture)
    assert isinstance(made, Ink) or made.field == "image"
    if isinstance(made, Ink):
        assert (made.pixels.shape, made.pixels.dtype) == ((28, 28), np.uint8)
        assert 0 < made.share < 1
        assert 0 <= made.brightness <= 1
        assert made.size == max(size)


def _made(picture: Array) -> Ink | InvalidRequest:
    try:
        return ink_of(picture)
    except InvalidRequest as refused:
        return refused


def test_what_drift_counts_is_of_the_picture() -> None:
    light, dark = (ink_of(picture) for picture in (255 - _SIX, _SIX))
    assert light.brightness == pytest.approx(1 - dark.brightness)
    assert light.share == dark.share
    assert light.size == 87
