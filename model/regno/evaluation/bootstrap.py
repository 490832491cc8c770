"""Intervals of a model's metrics, and of the differences of two models on the same rows.

A bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) draws rows
with replacement and measures each draw; the interval holds the middle 95 % of the results. For two
models it is paired: both are measured on the same draws. Rows are drawn one by one, so dependent
readings make an interval too narrow. The calibration error, which is biased, has an interval of its
own (`calibration_interval`).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from model.regno.evaluation import calibration_interval, metrics
from model.regno.evaluation.metrics import BINS, CLIP

Array: TypeAlias = np.ndarray[Any, Any]
Metric: TypeAlias = Callable[[Array], float]

DRAWS: Final = 1000
# Fewer rows, or fewer of a label, give intervals that are too narrow.
LEAST_ROWS: Final = 100
LEAST_OF_A_LABEL: Final = 10
_MIDDLE: Final = (2.5, 97.5)
_ECE: Final = "calibration_error"
# Whether a higher value is better.
HIGHER_IS_BETTER: Final = {
    "auc": True,
    "accuracy": True,
    "calibration_error": False,
    "brier": False,
    "log_loss": False,
}
# Those whose intervals are the middle of the draws.
_PLAIN: Final = [name for name in HIGHER_IS_BETTER if name != _ECE]


class Interval(Struct, frozen=True):
    """A metric and the bounds of its interval, which are nan for a metric that no draw has."""

    value: float
    low: float
    high: float


class Difference(Struct, frozen=True):
    """A metric of the new model and of the other one, and new minus other with its interval.

    `verdict` is better, worse, or unclear when the interval holds 0 or the rows are too few.
    """

    new: float
    other: float
    difference: float
    low: float
    high: float
    verdict: str


def too_few(labels: Array) -> bool:
    """Whether the rows are too few for intervals."""
    return labels.size < LEAST_ROWS or fewest(labels) < LEAST_OF_A_LABEL


def fewest(labels: Array) -> int:
    """The number of rows of the label that fewer rows have."""
    return int(min(labels.sum(), labels.size - labels.sum()))


def intervals(labels: Array, probabilities: Array, seed: int) -> dict[str, Interval]:
    """Each metric of `HIGHER_IS_BETTER` with its interval.

    `labels` are 0 or 1, `probabilities` 0 to 1, both of shape (rows,), not empty. The same seed
    gives the same intervals.
    """
    measures = metrics.measures(labels, probabilities)
    rising = np.argsort(
        probabilities, kind="stable"
    )  # the draws then read the rows in order, which is quicker
    counted = _Counted(labels[rising], probabilities[rising])
    ((values, gaps),) = _drawn(labels.size, [counted], seed)
    bounds = _middle(values) | {
        _ECE: calibration_interval.bounds(counted.all_gaps, gaps, labels.size)
    }
    return {name: Interval(measures[name], *bounds[name]) for name in HIGHER_IS_BETTER}


def differences(labels: Array, new: Array, other: Array, seed: int) -> dict[str, Difference]:
    """The difference in each metric of `HIGHER_IS_BETTER`; the labels must be of both kinds.

    `new` and `other` are probabilities, shape (rows,). The same seed gives the same intervals.
    """
    of_new, of_other = metrics.measures(labels, new), metrics.measures(labels, other)
    rising = np.argsort(new + other, kind="stable")
    sides = [_Counted(labels[rising], scores[rising]) for scores in (new, other)]
    (values, gaps), (values_of_other, gaps_of_other) = _drawn(labels.size, sides, seed)
    bounds = _middle(values - values_of_other) | {
        _ECE: calibration_interval.bounds_of_difference(
            (sides[0].all_gaps, gaps), (sides[1].all_gaps, gaps_of_other), labels.size
        )
    }
    found = {
        name: _difference(name, (of_new[name], of_other[name]), bounds[name])
        for name in HIGHER_IS_BETTER
    }
    if too_few(labels):
        return {name: replace(each, verdict="unclear") for name, each in found.items()}
    return found


def _drawn(size: int, sides: Sequence["_Counted"], seed: int) -> list[tuple[Array, Array]]:
    """For each side the metrics of each draw, as `_PLAIN` has them, and the gaps of its bins.

    Their shapes are (draws, metrics) and (draws, bins).
    """
    rng = np.random.default_rng(seed)
    drawn: list[tuple[list[list[float]], list[Array]]] = [([], []) for _ in sides]
    for _ in range(DRAWS):
        counts = np.bincount(rng.integers(size, size=size), minlength=size).astype(float)
        for side, (values, gaps) in zip(sides, drawn, strict=True):
            values.append([side.metrics[name](counts) for name in _PLAIN])
            gaps.append(side.gaps(counts))
    return [(np.array(values), np.array(gaps)) for values, gaps in drawn]


def _middle(drawn: Array) -> dict[str, tuple[float, float]]:
    """The bounds of each metric of `_PLAIN`. What is nan in a draw is left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
        lows, highs = np.nanpercentile(drawn, _MIDDLE, axis=0)
    return dict(zip(_PLAIN, zip(lows.tolist(), highs.tolist(), strict=True), strict=True))


def _difference(name: str, pair: tuple[float, float], interval: tuple[float, float]) -> Difference:
    (new, other), (low, high) = pair, interval
    verdict = "unclear"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == HIGHER_IS_BETTER[name] else "worse"
    return Difference(new, other, new - other, low, high, verdict)


class _Counted:
    """The metrics of rows that each count a number of times.

    What does not depend on the draw is computed once: scikit-learn would sort for each draw, which
    takes several times as long.
    """

    def __init__(self, labels: Array, probabilities: Array) -> None:
        clipped = probabilities.clip(CLIP, 1 - CLIP)
        losses = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
        self.metrics: Mapping[str, Metric] = {
            "auc": _auc(labels, probabilities),
            "accuracy": _mean((probabilities > 0.5) == (labels == 1)),
            "brier": _mean((probabilities - labels) ** 2),
            "log_loss": _mean(losses),
        }
        self._places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
        self._gaps = probabilities - labels
        self.all_gaps = self.gaps(np.ones(labels.size))

    def gaps(self, counts: Array) -> Array:
        """The gap of each bin, as `calibration_interval` has it."""
        sums = np.bincount(self._places, self._gaps * counts, minlength=BINS)
        return np.asarray(sums / counts.sum())


def _mean(values: Array) -> Metric:
    values = values.astype(float)
    return lambda counts: _dot(values, counts) / float(counts.sum())


def _dot(one: Array, other: Array) -> float:
    """The dot product, by this thread alone.

    BLAS wakes all its threads for each of the many thousands, and on a busy machine waits for them:
    0.7 ms instead of 0.04 for 30,000 rows. Its last digits also depend on their number.
    """
    return float(np.einsum("i,i", one, other))


def _auc(labels: Array, probabilities: Array) -> Metric:
    order = np.argsort(probabilities, kind="stable")
    positives, rising = (labels[order] == 1).astype(float), probabilities[order]
    # Where a run of equal probabilities begins.
    begins = np.flatnonzero(np.r_[True, rising[1:] > rising[:-1]])

    def auc(counts: Array) -> float:
        drawn = counts[order]
        positive = drawn * positives
        if begins.size < order.size:
            drawn, positive = np.add.reduceat([drawn, positive], begins, axis=1)
        negative = drawn - positive
        below = np.cumsum(negative) - negative / 2
        pairs = positive.sum() * negative.sum()
        return _dot(positive, below) / pairs if pairs else nan

    return auc
