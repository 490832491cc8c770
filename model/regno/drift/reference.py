"""The reference that a manifest holds for drift: how the held-out rows are distributed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.regno import differences
from model.regno.drift.counter import OTHER, SCORE, Variable
from model.regno.features import KINDS, Row

# Ten bins of equal shares, as is usual for the population stability index.
_QUANTILES: Final = tuple(tenth / 10 for tenth in range(1, 10))
# Of categories that are made of readings. Rarer values share the last bin: there are thousands of
# them, each would have a time series, and a part of a plate that few rows have tells whose it is.
_LEAST_SHARE: Final = 0.01


def reference(
    features: Sequence[str],
    rows: Sequence[Row],
    positives: Sequence[float],
    importances: Mapping[str, float],
) -> list[Variable]:
    """The variables of rows and their scores; `features` name a row's elements.

    Texts are left out, and so is what has no value at all, or none that is common enough.
    `importances` are weights of the features; those of the variables are scaled to add up to 1.
    """
    columns = dict(zip(features, zip(*rows, strict=True), strict=True))
    return of_columns(columns, positives, importances)


def of_columns(
    columns: Mapping[str, Sequence[Any]],
    positives: Sequence[float],
    importances: Mapping[str, float],
) -> list[Variable]:
    """The same of the features' values by name."""
    variables = [
        _number(name, column) if KINDS[name] == "numeric" else _category(name, column)
        for name, column in columns.items()
        if KINDS[name] != "text"
    ]
    variables = [variable for variable in variables if variable.bounds or variable.values]
    weights = [importances.get(variable.name, 0.0) for variable in variables]
    whole = sum(weights) or 1.0
    weighted = [_with(v, weight / whole) for v, weight in zip(variables, weights, strict=True)]
    return [*weighted, _number(SCORE, positives)]


def _number(name: str, column: Sequence[Any]) -> Variable:
    values = np.asarray(column, dtype=float)
    present = values[~np.isnan(values)]
    if not len(present):
        return Variable(name, [1.0], 0.0)
    # Values that occur, and in the few digits that also name the bin.
    cuts = np.quantile(present, _QUANTILES, method="inverted_cdf")
    bounds = sorted({float(f"{cut:g}") for cut in cuts.tolist()})
    return _counted(Variable(name, [], 0.0, bounds=bounds), values.tolist())


def _category(name: str, column: Sequence[Any]) -> Variable:
    counts = Counter(column)
    least = _LEAST_SHARE * len(column) if name in differences.CATEGORICAL else 0
    # A value of the last bin's name goes into that bin.
    values = sorted(value for value, n in counts.items() if n >= least and value != OTHER)
    return _counted(Variable(name, [], 0.0, values=values), column)


def _counted(variable: Variable, column: Sequence[Any]) -> Variable:
    shares = [round(count / len(column), 6) for count in variable.count(column)]
    return Variable(variable.name, shares, 0.0, variable.bounds, variable.values)


def _with(variable: Variable, importance: float) -> Variable:
    return Variable(
        variable.name, variable.shares, round(importance, 6), variable.bounds, variable.values
    )
