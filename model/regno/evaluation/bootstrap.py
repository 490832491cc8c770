"""Two models on the same held-out rows: the differences of their metrics, with intervals.

A paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) draws
rows with replacement and measures both models on the same draw; the interval holds the middle 95 %
of the differences. Rows are drawn one by one, so dependent readings make it too narrow.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct
from scipy import stats

from model.regno.evaluation import metrics
from model.regno.evaluation.metrics import BINS, CLIP

Array: TypeAlias = np.ndarray[Any, Any]
Metric: TypeAlias = Callable[[Array], float]

DRAWS: Final = 1000
# Draws held in memory at once.
_BATCH: Final = 50
_MIDDLE: Final = (2.5, 97.5)
# Whether a higher value is better.
HIGHER_IS_BETTER: Final = {
    "auc": True,
    "calibration_error": False,
    "brier": False,
    "log_loss": False,
}


class Difference(Struct, frozen=True):
    """A metric of the new model and of the other one, and new minus other with its interval.

    `verdict` is better, worse, or unclear when the interval holds 0.
    """

    new: float
    other: float
    difference: float
    low: float
    high: float
    verdict: str


def differences(labels: Array, new: Array, other: Array, seed: int) -> dict[str, Difference]:
    """The difference in each metric of `HIGHER_IS_BETTER`; the labels must be of both kinds.

    `new` and `other` are probabilities, shape (rows,). The same seed gives the same intervals.
    """
    of_new, of_other = metrics.measures(labels, new), metrics.measures(labels, other)
    lows, highs = _intervals(labels, new, other, seed)
    return {
        name: _difference(name, (of_new[name], of_other[name]), (float(low), float(high)))
        for name, low, high in zip(HIGHER_IS_BETTER, lows, highs, strict=True)
    }


def _intervals(labels: Array, new: Array, other: Array, seed: int) -> Array:
    """The lows and highs of all metrics, shape (2, metrics)."""
    of_new, of_other = _counted_metrics(labels, new), _counted_metrics(labels, other)

    def difference(rows: Array) -> list[float]:
        counts = np.bincount(rows, minlength=labels.size)
        drawn = labels[rows]
        if drawn.min() == drawn.max():  # there is no AUC: such draws are left out below
            return [np.nan] * len(HIGHER_IS_BETTER)
        return [of_new[name](counts) - of_other[name](counts) for name in HIGHER_IS_BETTER]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            (np.arange(labels.size),),
            lambda rows, axis: np.apply_along_axis(difference, axis, rows).T,
            n_resamples=DRAWS,
            batch=_BATCH,
            method="percentile",
            vectorized=True,
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
    return np.asarray(np.nanpercentile(drawn, _MIDDLE, axis=-1))


def _difference(name: str, pair: tuple[float, float], interval: tuple[float, float]) -> Difference:
    (new, other), (low, high) = pair, interval
    verdict = "unclear"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == HIGHER_IS_BETTER[name] else "worse"
    return Difference(new, other, new - other, low, high, verdict)


def _counted_metrics(labels: Array, probabilities: Array) -> Mapping[str, Metric]:
    """The functions of `metrics` for rows that each count a number of times.

    What does not depend on the draw is computed once: scikit-learn would sort for each draw, which
    takes several times as long.
    """
    clipped = probabilities.clip(CLIP, 1 - CLIP)
    losses = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
    squares = (probabilities - labels) ** 2
    return {
        "auc": _auc(labels, probabilities),
        "calibration_error": _calibration_error(labels, probabilities),
        "brier": lambda counts: float(squares @ counts / counts.sum()),
        "log_loss": lambda counts: float(losses @ counts / counts.sum()),
    }


def _auc(labels: Array, probabilities: Array) -> Metric:
    values, place = np.unique(probabilities, return_inverse=True)

    def auc(counts: Array) -> float:
        positive = np.bincount(place, counts * labels, len(values))
        negative = np.bincount(place, counts * (1 - labels), len(values))
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below / (positive.sum() * negative.sum()))

    return auc


def _calibration_error(labels: Array, probabilities: Array) -> Metric:
    place = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = probabilities - labels

    def calibration_error(counts: Array) -> float:
        return float(np.abs(np.bincount(place, gaps * counts)).sum() / counts.sum())

    return calibration_error
