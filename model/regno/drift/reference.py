"""The reference that a manifest holds for drift: how the held-out rows are distributed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from model.drift.counter import OTHER, SCORE, Variable, numeric
from model.regno import differences
from model.regno.features import KINDS, Row

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
        numeric(name, column) if KINDS[name] == "numeric" else _category(name, column)
        for name, column in columns.items()
        if KINDS[name] != "text"
    ]
    variables = [variable for variable in variables if variable.bounds or variable.values]
    weights = [importances.get(variable.name, 0.0) for variable in variables]
    whole = sum(weights) or 1.0
    weighted = [_with(v, weight / whole) for v, weight in zip(variables, weights, strict=True)]
    return [*weighted, numeric(SCORE, positives)]


def _category(name: str, column: Sequence[Any]) -> Variable:
    counts = Counter(column)
    least = _LEAST_SHARE * len(column) if name in differences.CATEGORICAL else 0
    # A value of the last bin's name goes into that bin.
    values = sorted(value for value, n in counts.items() if n >= least and value != OTHER)
    return Variable(name, [], 0.0, values=values).with_shares(column)


def _with(variable: Variable, importance: float) -> Variable:
    return Variable(
        variable.name, variable.shares, round(importance, 6), variable.bounds, variable.values
    )
