"""Drift: counts of scored rows by the bins of a manifest's reference.

Each variable, a feature or the score, is cut into bins, and a manifest holds the share of the
held-out rows in each. Scored rows are counted by the same bins. The population stability index, the
sum over bins of (now - then) * ln(now / then), is computed from the counts of all processes by
Prometheus: it can't be averaged.

The same rows give the accuracy that can be expected without labels: of a calibrated score p, the
likelier reading is right with max(p, 1 - p), and the mean of that estimates the accuracy (CBPE,
confidence-based performance estimation).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from msgspec import Struct

from model.scorer import Drift, Row

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = np.ndarray[Any, Any]
Counts: TypeAlias = dict[tuple[str, str], int]

# The variable that is not a feature: the score's probability of the positive class.
SCORE: Final = "positive"
BEYOND: Final = "+Inf"
OTHER: Final = "other"
# Ten bins of equal shares, as is usual for the population stability index.
_QUANTILES: Final = tuple(tenth / 10 for tenth in range(1, 10))
# Rows counted at once: a tenth of the cost of counting each when it arrives.
_AT_ONCE: Final = 512
# Up to this many rows since the last `take` are all counted; of more, a random sample of about this
# size: every n-th row would fall in step with cameras that alternate.
_SAMPLE: Final = 256


class Variable(Struct, frozen=True):
    """A feature or the score, its bins, and the shares of the reference rows in them.

    A number has `bounds`, the greatest value of each bin in rising order; what is beyond the
    last or missing is in one bin more. A category has `values`, and one bin for all others.
    `shares` are those of the bins, in order, of which there is one more than bounds or
    values. `importance` is the feature's share of the model's, 0 for the score.
    """

    name: str
    shares: list[float]
    importance: float
    bounds: list[float] = []
    values: list[str] = []

    @property
    def bins(self) -> list[str]:
        """The names of the bins, in order."""
        if self.values:
            return [*self.values, OTHER]
        return [*(f"{bound:g}" for bound in self.bounds), BEYOND]

    @property
    def is_segment(self) -> bool:
        """Whether the expected accuracy is of interest by its bins: a category's, or the score's.

        The bins of the score hold all rows.
        """
        return bool(self.values) or self.name == SCORE

    def places(self, column: Iterable[Any]) -> Array:
        """The place of each value's bin among the bins."""
        if not self.values:
            return np.searchsorted(self.bounds, np.asarray(column, dtype=float))
        place_of = {value: place for place, value in enumerate(self.values)}
        return np.fromiter(map(place_of.get, column, repeat(len(self.values))), dtype=np.intp)

    def count(self, column: Iterable[Any]) -> list[int]:
        """How many values of a column fall into each bin."""
        return self.counts(self.places(column))

    def counts(self, places: Array, weights: Array | None = None) -> list[Any]:
        """How many values are at these places in each bin, or the sum of their weights."""
        most = len(self.values or self.bounds) + 1
        counted: list[Any] = np.bincount(places, weights, minlength=most).tolist()
        return counted

    def with_shares(self, column: Sequence[Any]) -> "Variable":
        """The same bins with the shares that the values of a column have in them."""
        shares = [round(count / len(column), 6) for count in self.count(column)]
        return Variable(self.name, shares, self.importance, self.bounds, self.values)


def numeric(name: str, column: Sequence[Any]) -> Variable:
    """The variable of a column of numbers, in bins of about equal shares, with importance 0."""
    values = np.asarray(column, dtype=float)
    present = values[~np.isnan(values)]
    if not len(present):
        return Variable(name, [1.0], 0.0)
    # Values that occur, and in the few digits that also name the bin.
    cuts = np.quantile(present, _QUANTILES, method="inverted_cdf")
    bounds = sorted({float(f"{cut:g}") for cut in cuts.tolist()})
    return Variable(name, [], 0.0, bounds=bounds).with_shares(values.tolist())


class DriftCounter(Drift):
    """Counts scored rows by the bins of a reference."""

    reference: Sequence[Variable]

    def __init__(self, features: Sequence[str], reference: Sequence[Variable]) -> None:
        """`features` are the names of a row's elements, in order."""
        self.reference = reference
        self._columns = [
            (variable, features.index(variable.name))
            for variable in reference
            if variable.name in features
        ]
        self._score = [variable for variable in reference if variable.name == SCORE]
        self._rows: list[Row] = []
        self._positives: list[float] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._correct: dict[tuple[str, str], float] = {}
        self._seen = 0
        self._stands_for = 1
        self._random = np.random.default_rng()

    def add_rows(self, rows: Sequence[Row], positives: Sequence[float]) -> None:
        """Keep rows and their scores until there are enough to count at once."""
        if not self.reference:
            return
        for row in self._sample(len(rows)):
            self._rows.append(rows[row])
            self._positives.append(positives[row])
        if len(self._rows) >= _AT_ONCE:
            self._count_rows()

    def add_table(self, table: "pd.DataFrame", positives: Sequence[float]) -> None:
        """Count the rows of a table that has the features as columns.

        Of many tables some are counted whole: splitting a table costs 4 ms, however few of its rows
        are counted.
        """
        self._seen += len(table)
        if not self.reference or self._random.random() * self._stands_for >= 1:
            return
        self._count([table.iloc[:, index] for _, index in self._columns], positives)

    def take(self) -> Counts:
        """The counts by (variable, bin) since the last call; empty bins are left out.

        Each row of a sample counts for all rows that it represents: the sampling rate follows
        the load of a process, and the counts of all processes must still add up.
        """
        if self._rows:
            self._count_rows()
        counts, self._counts = self._counts, Counter()
        self._stands_for, self._seen = max(1, self._seen // _SAMPLE), 0
        return dict(counts)

    def take_correct(self) -> dict[tuple[str, str], float]:
        """The rows whose likelier reading is expected to be right, by segment and bin.

        Those of the rows that `take`, called before, has counted; empty bins are left out.
        """
        correct, self._correct = self._correct, {}
        return correct

    def expected(self, scores: Array) -> Array:
        """How probably the likelier reading of each row is right, by its calibrated score."""
        correct: Array = np.maximum(scores, 1 - scores)
        return correct

    def _sample(self, rows: int) -> Iterable[int]:
        """The rows to count, each with the same chance."""
        self._seen += rows
        if self._stands_for == 1:
            return range(rows)
        chosen = self._random.random(rows) * self._stands_for < 1
        return np.flatnonzero(chosen).tolist()

    def _count_rows(self) -> None:
        # Removed first: rows that can't be counted must not be retried forever.
        rows, positives = self._rows, self._positives
        self._rows, self._positives = [], []
        columns = list(zip(*rows, strict=True))
        self._count([columns[index] for _, index in self._columns], positives)

    def _count(self, columns: Sequence[Iterable[Any]], positives: Sequence[float]) -> None:
        scores = np.asarray(positives)
        correct = self.expected(scores)
        features = ((of, column) for (of, _), column in zip(self._columns, columns, strict=True))
        for variable, column in (*features, *((score, scores) for score in self._score)):
            places = variable.places(column)
            self._add(self._counts, variable, variable.counts(places))
            if variable.is_segment:
                self._add(self._correct, variable, variable.counts(places, correct))

    def _add(
        self, total: dict[tuple[str, str], Any], variable: Variable, counts: Sequence[float]
    ) -> None:
        for name, count in zip(variable.bins, counts, strict=True):
            if count:
                bin_of = variable.name, name
                total[bin_of] = total.get(bin_of, 0) + count * self._stands_for
