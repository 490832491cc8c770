"""Drift between two sets of rows: the population stability index (PSI) of each variable.

The PSI is the sum over a variable's bins of (now - then) * ln(now / then), with the shares of the
rows in the bin: Siddiqi, Credit Risk Scorecards (2006). The Prometheus rules compute the same from
the counts of the service, with the same bins and the same least share.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from msgspec import Struct

from model.errors import DataRefused
from model.redaction import is_whole_plate
from model.regno.columns.checked import check
from model.regno.drift.counter import OTHER, SCORE, DriftCounter, Variable
from model.regno.drift.reference import of_columns
from model.regno.features import CALENDAR
from model.regno.request import FIELDS
from model.regno.scorer import RegnoScorer
from model.tables.cells import cells_of
from model.tables.format import Options
from model.tables.table import open_table

# `drift.min_share` of monitoring/slo.toml: an empty bin has no logarithm.
LEAST_SHARE: Final = 1e-4
_PARCEL_ROWS: Final = 5_000
# Categories that callers send. Their rarer values share a bin: with the wrong columns they may be
# plates.
_SENT: Final = ("camera_type", "camera_class")
_LEAST_FREQUENT: Final = 0.01
# Within one file these differ by when it was taken: they are shown, and not part of the mean.
_NOT_WEIGHTED: Final = (*CALENDAR, "hour")


class Rows(Struct):
    """The readings of a file: their features by name, and the scores (n,) of a model.

    `faults` counts rows that are no readings by "field: reason"; `format` says how the file is
    written.
    """

    features: pd.DataFrame
    positives: np.ndarray[Any, Any]
    faults: Counter[str]
    format: str

    @property
    def expected_accuracy(self) -> float:
        """The mean of max(p, 1 - p): the accuracy to expect of calibrated scores."""
        return float(np.maximum(self.positives, 1 - self.positives).mean())


class VariableDrift(Struct):
    """A variable's PSI, and the shares of the rows in its bins `then` and `now`, in their order.

    `weighted` says whether it counts in the mean over the features, with `importance` as weight.
    `by_chance` is what its PSI is on average if nothing has changed, for so few rows; None if
    the number of rows of the reference is not known.
    """

    name: str
    importance: float
    psi: float
    by_chance: float | None
    weighted: bool
    bins: list[str]
    then: list[float]
    now: list[float]


class Comparison(Struct):
    """The drift of all variables, the greatest first.

    `psi_weighted` is the mean of the features' PSI, weighted by importance, and `psi_score` the PSI
    of the scores.
    """

    variables: list[VariableDrift]
    psi_weighted: float
    psi_score: float


def read(path: Path, scorer: RegnoScorer, options: Options) -> Rows:
    """The readings of a file in any form, with their features and scores.

    Raises OSError, TableRefused, and DataRefused for a file without a reading.
    """
    tables, positives, faults = [], [], Counter[str]()
    with open_table(path, FIELDS, options) as table:
        for parcel in table.parcels(_PARCEL_ROWS):
            cells = cells_of(parcel, table.layout)
            if not len(cells.lines):
                continue
            checked = check(cells.columns, cells.faults)
            faults.update(checked.faults.values())
            for _, columns in checked.pieces():
                features = scorer.table.of_columns(columns)
                tables.append(features)
                positives.append(scorer.predict_table(features)[:, 1])
        form = str(table.layout.format)
    if not tables:
        raise DataRefused(f"it holds no reading: all of its {faults.total()} rows are bad")
    return Rows(pd.concat(tables), np.concatenate(positives), faults, form)


def reference_of(rows: Rows, importances: Mapping[str, float]) -> list[Variable]:
    """The variables of rows as a reference, with bins of about equal shares."""
    columns = {str(name): column.tolist() for name, column in rows.features.items()}
    columns |= {name: _frequent(columns[name]) for name in _SENT if name in columns}
    return of_columns(columns, rows.positives.tolist(), importances)


def _frequent(column: Sequence[str]) -> list[str]:
    """A column of names in which rare values are `OTHER`."""
    counts = Counter(column)
    least = _LEAST_FREQUENT * len(column)
    return [value if counts[value] >= least else OTHER for value in column]


def compare(
    reference: Sequence[Variable], current: Rows, reference_rows: int | None = None
) -> Comparison:
    """The drift of the current rows from a reference, which was made of so many rows."""
    counter = DriftCounter(list(map(str, current.features)), reference)
    counter.add_table(current.features, current.positives.tolist())
    counts = counter.take()
    variables = [_drift(variable, counts, reference_rows) for variable in reference]
    weights = sum(each.importance for each in variables if each.weighted)
    weighted = sum(each.importance * each.psi for each in variables if each.weighted)
    (score,) = (each.psi for each in variables if each.name == SCORE)
    variables.sort(key=lambda each: -each.psi)
    return Comparison(variables, weighted / weights if weights else 0.0, score)


def psi(then: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of the shares in the same bins."""
    pairs = ((max(e, LEAST_SHARE), max(a, LEAST_SHARE)) for e, a in zip(then, now, strict=True))
    return sum((a - e) * log(a / e) for e, a in pairs)


def _drift(
    variable: Variable, counts: Mapping[tuple[str, str], int], reference_rows: int | None
) -> VariableDrift:
    counted = [counts.get((variable.name, name), 0) for name in variable.bins]
    rows = sum(counted)
    now = [count / rows for count in counted]
    return VariableDrift(
        variable.name,
        variable.importance,
        psi(variable.shares, now),
        _by_chance(variable.shares, rows, reference_rows),
        variable.name not in (*_NOT_WEIGHTED, SCORE),
        list(map(_shown, variable.bins)),
        variable.shares,
        now,
    )


def _shown(name: str) -> str:
    """The name of a bin: a column of names may hold plates in a file with wrong columns."""
    return "[plate]" if is_whole_plate(name) else name


def _by_chance(shares: Sequence[float], rows: int, reference_rows: int | None) -> float | None:
    """The mean of the PSI of two samples of one population.

    Yurdakul and Naranjo, Statistical properties of the population stability index (2020).
    """
    if reference_rows is None:
        return None
    occupied = sum(share > 0 for share in shares)
    return (occupied - 1) * (1 / rows + 1 / reference_rows)
