"""Two models on the same held-out rows: measures side by side, and what their difference is worth.

The difference of a measure is judged by a paired bootstrap (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 13): rows are drawn with replacement, both models
are measured on the same draw, and the interval holds the middle 95 % of the differences.
Rows are drawn one by one, so readings that hang together make it too narrow.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct

from model.regno.evaluation import evaluate
from model.regno.evaluation.evaluate import BINS, CLIP

Array: TypeAlias = np.ndarray[Any, Any]
Measure: TypeAlias = Callable[[Array], float]

DRAWS: Final = 1000
_MIDDLE: Final = (2.5, 97.5)
# Whether more of a measure is better.
BETTER_HIGH: Final = {"auc": True, "calibration_error": False, "brier": False, "log_loss": False}


class Difference(Struct, frozen=True):
    """A measure of the new model and of the other, and new minus other with its interval.

    `verdict` is better, worse, or unclear when the interval holds 0.
    """

    new: float
    other: float
    difference: float
    low: float
    high: float
    verdict: str


def flips(new: Array, other: Array) -> Array:
    """Where two models decide differently at one half, shape (rows,)."""
    flipped: Array = (new > 0.5) != (other > 0.5)
    return flipped


def differences(labels: Array, new: Array, other: Array, seed: int) -> dict[str, Difference]:
    """Each of `BETTER_HIGH`, by name; the labels must be of both kinds.

    `new` and `other` are probabilities, shape (rows,). The same seed gives the same intervals.
    """
    sides = _measures(labels, new), _measures(labels, other)
    rng = np.random.default_rng(seed)
    drawn: list[list[float]] = []
    while len(drawn) < DRAWS:
        rows = rng.integers(labels.size, size=labels.size)
        if labels[rows].min() != labels[rows].max():
            times = np.bincount(rows, minlength=labels.size)
            drawn.append([sides[0][name](times) - sides[1][name](times) for name in BETTER_HIGH])
    lows, highs = np.percentile(drawn, _MIDDLE, axis=0)
    found = evaluate.measures(labels, new), evaluate.measures(labels, other)
    return {
        name: _difference(name, (found[0][name], found[1][name]), (float(low), float(high)))
        for name, low, high in zip(BETTER_HIGH, lows, highs, strict=True)
    }


def _difference(name: str, pair: tuple[float, float], interval: tuple[float, float]) -> Difference:
    (new, other), (low, high) = pair, interval
    verdict = "unclear"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == BETTER_HIGH[name] else "worse"
    return Difference(new, other, new - other, low, high, verdict)


def _measures(labels: Array, probabilities: Array) -> Mapping[str, Measure]:
    """The measures of `evaluate` of rows that each count so many times.

    What does not depend on the draw is worked out once: sorting anew would take minutes.
    """
    clipped = probabilities.clip(CLIP, 1 - CLIP)
    surprises = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
    squares = (probabilities - labels) ** 2
    return {
        "auc": _auc(labels, probabilities),
        "calibration_error": _calibration_error(labels, probabilities),
        "brier": lambda times: float(squares @ times / times.sum()),
        "log_loss": lambda times: float(surprises @ times / times.sum()),
    }


def _auc(labels: Array, probabilities: Array) -> Measure:
    values, place = np.unique(probabilities, return_inverse=True)

    def measure(times: Array) -> float:
        positive = np.bincount(place, times * labels, len(values))
        negative = np.bincount(place, times * (1 - labels), len(values))
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below / (positive.sum() * negative.sum()))

    return measure


def _calibration_error(labels: Array, probabilities: Array) -> Measure:
    place = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = probabilities - labels

    def measure(times: Array) -> float:
        return float(np.abs(np.bincount(place, gaps * times)).sum() / times.sum())

    return measure
