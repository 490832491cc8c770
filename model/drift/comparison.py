"""Drift between two sets of rows: the population stability index (PSI) of each variable.

The PSI is the sum over a variable's bins of (now - then) * ln(now / then), with the shares of the
rows in the bin: Siddiqi, Credit Risk Scorecards (2006). The Prometheus rules compute the same from
the counts of the service, with the same bins and the same least share.

Without any change the PSI of samples of n and m rows is above 0: divided by 1/n + 1/m it has about
a chi-squared distribution with one degree of freedom less than there are bins. Yurdakul and
Naranjo, Statistical properties of the population stability index (2020).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from math import log, sqrt
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from msgspec import Struct

from model.redaction import is_whole_plate
from model.scorer import Bins, Scorer, Table

# `drift.min_share` of monitoring/slo.toml: an empty bin has no logarithm.
LEAST_SHARE: Final = 1e-4
# The last bin of numbers, whose other bins are named by their upper ends.
BEYOND: Final = "+Inf"
# The variable that is not a feature: the score's probability of the positive class.
SCORE: Final = "positive"
# Of unchanged populations, the share whose PSI is within `chance_limit`.
_WITHIN: Final = 0.95
# Below this PSI there is no relevant change, by the usual rule of thumb.
_RELEVANT: Final = 0.1


class Rows(Struct):
    """The requests of a file: a table of their features, and the scores (n,) of a model.

    `faults` counts rows that are not requests by "field: reason"; `format` says how the file is
    written.
    """

    features: Table
    positives: np.ndarray[Any, Any]
    faults: Counter[str]
    format: str

    @property
    def expected_accuracy(self) -> float:
        """The mean of max(p, 1 - p): the accuracy to expect of calibrated scores."""
        return float(np.maximum(self.positives, 1 - self.positives).mean())

    @property
    def bad_share(self) -> float:
        """The share of the file's rows that are not requests."""
        bad = self.faults.total()
        return bad / (bad + len(self.positives))


class VariableDrift(Struct):
    """A variable's PSI, and the shares of the rows in its bins `then` and `now`, in their order.

    `bins` are the bins as they are displayed, numbers as ranges.

    `weighted` says whether it counts in the mean over the features, with `importance` as weight.
    `by_chance` is what its PSI is on average if nothing has changed, for so few rows;
    `chance_limit` is what it exceeds in one of 20 such cases. Both count the reference as exact
    if its number of rows is not known: they are then too low.
    """

    name: str
    importance: float
    psi: float
    by_chance: float
    chance_limit: float
    weighted: bool
    bins: list[str]
    then: list[float]
    now: list[float]

    @property
    def is_chance(self) -> bool:
        """Whether so few rows explain the PSI without any change."""
        return self.psi <= self.chance_limit


class Comparison(Struct):
    """The drift of all variables, the greatest first.

    `psi_weighted` is the mean of the features' PSI, weighted by importance, `weighted_by_chance`
    what it is on average if nothing has changed. `score` is the drift of the scores.
    """

    variables: list[VariableDrift]
    psi_weighted: float
    weighted_by_chance: float
    score: VariableDrift

    @property
    def psi_score(self) -> float:
        """The PSI of the scores."""
        return self.score.psi

    @property
    def has_few_rows(self) -> bool:
        """Whether chance alone makes a PSI of half of what counts as a relevant change."""
        return max(self.weighted_by_chance, self.score.by_chance) > _RELEVANT / 2


def compare(
    scorer: Scorer,
    reference: Sequence[Bins],
    current: Rows,
    reference_rows: int | None = None,
    *,
    unweighted: Collection[str] = (),
) -> Comparison:
    """The drift of the current rows from a reference, which was made of so many rows.

    `unweighted` names features that do not count in the mean.
    """
    counter = scorer.drift_counter(reference)
    counter.add_table(current.features, current.positives.tolist())
    counts = counter.take()
    left_out = {*unweighted, SCORE}
    variables = [
        _drift(of, counts, reference_rows, weighted=of.name not in left_out) for of in reference
    ]
    variables.sort(key=lambda each: -each.psi)
    weighted = [each for each in variables if each.weighted]
    total = sum(each.importance for each in weighted) or 1.0
    return Comparison(
        variables,
        sum(each.importance * each.psi for each in weighted) / total,
        sum(each.importance * each.by_chance for each in weighted) / total,
        next(each for each in variables if each.name == SCORE),
    )


def psi(then: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of the shares in the same bins."""
    pairs = ((max(e, LEAST_SHARE), max(a, LEAST_SHARE)) for e, a in zip(then, now, strict=True))
    return sum((a - e) * log(a / e) for e, a in pairs)


def _drift(
    of: Bins, counts: Mapping[tuple[str, str], int], reference_rows: int | None, *, weighted: bool
) -> VariableDrift:
    counted = [counts.get((of.name, name), 0) for name in of.bins]
    rows = sum(counted)
    now = [count / rows for count in counted]
    freedom = sum(share > 0 for share in of.shares) - 1
    scale = 1 / rows + (1 / reference_rows if reference_rows else 0.0)
    return VariableDrift(
        of.name,
        of.importance,
        psi(of.shares, now),
        freedom * scale,
        _chi_squared(freedom) * scale,
        weighted,
        _shown(of.bins),
        list(of.shares),
        now,
    )


def _shown(bins: Sequence[str]) -> list[str]:
    """How bins are displayed: numbers as ranges, which `bins` name by their upper ends.

    A column of names may hold plates in a file with wrong columns.
    """
    if bins[-1] == BEYOND and len(bins) > 1:
        between = [f"{low} – {high}" for low, high in pairwise(bins[:-1])]
        return [f"≤ {bins[0]}", *between, f"> {bins[-2]}"]
    return ["[plate]" if is_whole_plate(name) else name for name in bins]


def _chi_squared(freedom: int) -> float:
    """The quantile of the chi-squared distribution, by Wilson and Hilferty (1931)."""
    if freedom < 1:
        return 0.0
    variance = 2 / (9 * freedom)
    cube_root = 1 - variance + NormalDist().inv_cdf(_WITHIN) * sqrt(variance)
    return float(freedom * cube_root**3)
