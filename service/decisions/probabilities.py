"""Measures of probabilities on rows that count differently: each has a weight.

scikit-learn has the first ones, which is no package of a process that serves.
"""

from collections.abc import Sequence
from itertools import groupby
from math import log, nan
from typing import Final, NamedTuple

BINS: Final = 10
# As in `python -m model.evaluate`: a probability of 0 or 1 that is wrong would cost everything.
_CLIP: Final = 1e-15


class Weighted(NamedTuple):
    """A probability, whether it came true, and for how many rows it stands."""

    probability: float
    is_true: bool
    weight: float


class Bin(NamedTuple):
    """One bin of a reliability diagram.

    `rows` is the number of rows of equal weight that would vary as much (Kish, Survey Sampling,
    1965).
    """

    weight: float
    rows: float
    mean_probability: float
    observed_share: float


def auc(rows: Sequence[Weighted]) -> float:
    """The area under the ROC curve, nan if only one kind of row occurs."""
    below = ranked = true = 0.0
    for _, tied in groupby(sorted(rows), key=lambda row: row.probability):
        sums = [0.0, 0.0]
        for row in tied:
            sums[row.is_true] += row.weight
        ranked += sums[1] * (below + sums[0] / 2)
        below += sums[0]
        true += sums[1]
    return ranked / (true * below) if true * below else nan


def log_loss(rows: Sequence[Weighted]) -> float:
    """The mean of -ln p, in nats; nan without rows."""
    return _mean(rows, [-log(_of_what_came(row)) for row in rows])


def reliability(rows: Sequence[Weighted]) -> list[Bin]:
    """The bins of equal width that hold rows, from low to high."""
    binned: list[list[Weighted]] = [[] for _ in range(BINS)]
    for row in rows:
        binned[min(int(row.probability * BINS), BINS - 1)].append(row)
    return [_bin(held) for held in binned if held]


def calibration_error(rows: Sequence[Weighted]) -> float:
    """The expected calibration error (ECE): the mean gap of the bins, by weight; nan without."""
    bins = reliability(rows)
    total = sum(each.weight for each in bins)
    gaps = (each.weight * abs(each.mean_probability - each.observed_share) for each in bins)
    return sum(gaps) / total if total else nan


def _bin(held: Sequence[Weighted]) -> Bin:
    weight = sum(row.weight for row in held)
    return Bin(
        weight,
        weight**2 / sum(row.weight**2 for row in held),
        _mean(held, [row.probability for row in held]),
        _mean(held, [float(row.is_true) for row in held]),
    )


def _of_what_came(row: Weighted) -> float:
    clipped = min(max(row.probability, _CLIP), 1 - _CLIP)
    return clipped if row.is_true else 1 - clipped


def _mean(rows: Sequence[Weighted], values: Sequence[float]) -> float:
    total = sum(row.weight for row in rows)
    if not total:
        return nan
    return sum(row.weight * value for row, value in zip(rows, values, strict=True)) / total
