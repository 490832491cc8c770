"""Intervals of the expected calibration error (ECE), and of the difference of two.

An ECE is the sum of |g|, where the gap g of a bin is the sum of its rows' probabilities minus
labels, over the number of all rows. It is too high, most of all for a calibrated model (Bröcker,
Estimating reliability and resolution of probability forecasts, Climate Dynamics 39, 2012), and the
draws of a bootstrap are so once more: their middle 95 % may lie above the value, and hold the true
ECE of a calibrated model hardly ever. The cause is that |g| has no derivative at 0, where the usual
bootstrap is not consistent (Fang and Santos, Inference on directionally differentiable functions,
Review of Economic Studies 86, 2019). As there, each bin's gap is first tested: it is clear if it is
above sqrt(ln n) times the standard deviation of h, the gap in a draw minus g. The error of the
ECE, measured minus true, then lies between two sums over the bins:

    least = Σ sign(g) h                 since |x| is convex
    most  = Σ sign(g) h where the gap is clear, and Σ |h| where it may be 0

With quantiles q of the draws the interval is [ECE − q97.5(most), ECE − q2.5(least)], not below 0;
that of a difference is [d − q97.5(most − least'), d − q2.5(least − most')], where ' is the other
model. Both hold their value. The second is wide where bins of both models may have no gap.
"""

from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

_LOW: Final = 2.5
_HIGH: Final = 97.5


def bounds(gaps: Array, drawn: Array, rows: int) -> tuple[float, float]:
    """The interval of an ECE; `gaps` have shape (bins,), those of draws (draws, bins)."""
    value = float(np.abs(gaps).sum())
    least, most = (sums.sum(axis=1) for sums in _errors(gaps, drawn, rows))
    low, high = value - np.percentile(most, _HIGH), value - np.percentile(least, _LOW)
    # Sums in another order may differ in their last digit.
    return max(0.0, min(float(low), value)), max(float(high), value)


def bounds_of_difference(
    new: tuple[Array, Array], other: tuple[Array, Array], rows: int
) -> tuple[float, float]:
    """The interval of the ECE of a model minus that of another one, each (gaps, those of draws).

    Both must be of the same draws. What is the same in both models has no part in it.
    """
    value = float(np.abs(new[0]).sum() - np.abs(other[0]).sum())
    differ = ((new[1] != other[1]).any(axis=0)) | (new[0] != other[0])
    least, most = _errors(*new, rows)
    least_of_other, most_of_other = _errors(*other, rows)
    low = value - np.percentile((most - least_of_other)[:, differ].sum(axis=1), _HIGH)
    high = value - np.percentile((least - most_of_other)[:, differ].sum(axis=1), _LOW)
    return min(float(low), value), max(float(high), value)


def _errors(gaps: Array, drawn: Array, rows: int) -> tuple[Array, Array]:
    """What each bin may add to the error in each draw, at least and at most."""
    changes = drawn - gaps
    least = np.sign(gaps) * changes
    is_clear = np.abs(gaps) > np.sqrt(np.log(rows)) * changes.std(axis=0)
    return least, np.where(is_clear, least, np.abs(changes))
