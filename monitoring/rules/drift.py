"""Drift of inputs and scores: the population stability index, in PromQL.

The index of a variable is the sum over its bins of (a - e) * ln(a / e), with `a` the share of
the last hour's rows in the bin and `e` its share in training: Siddiqi, "Credit Risk Scorecards"
(2006), where its thresholds 0.1 and 0.25 come from too; its distribution is in Yurdakul and
Naranjo, "Statistical properties of the population stability index" (2020).

An empty bin has no logarithm, so shares have a minimum, as is usual. The minimum also bounds the
effect of a bin without an expected row: at 0.0001, 10 % of the rows in a new bin give
(0.1 - 0.0001) * ln(1000) = 0.69.
"""

from typing import Final

from monitoring.rules.promql import Group, group, number, record
from monitoring.slo import Slo

_ROWS: Final = "scoring:drift_rows:increase1h"
_SHARE: Final = "scoring:drift_share:1h"
_INDEX: Final = "scoring:drift_psi:1h"
# A series can't be deleted: the bins of a former model have the share -1.
_REFERENCE: Final = "(scoring_drift_reference_ratio >= 0)"
# If two models are live, the greater share counts.
_EXPECTED: Final = f"max by (variable, bin) {_REFERENCE}"
_IMPORTANCE: Final = "max by (variable) (scoring_drift_importance_ratio)"


def groups(slo: Slo) -> list[Group]:
    """Rows by bin, their shares, the index of each variable and of all, a missing reference."""
    rules = [
        record(_ROWS, _rows(slo)),
        record(_SHARE, _shares(slo)),
        record(_INDEX, _index(slo)),
        record("scoring:drift_psi_weighted:1h", _weighted()),
        record("scoring:drift_reference_missing", _missing()),
    ]
    return [group("scoring-drift", rules, "1m")]


def _rows(slo: Slo) -> str:
    """Rows of all instances in the bins of the live model, without those of former models."""
    calendar = "|".join(slo.drift.calendar_variables)
    return (
        "sum by (variable, bin) (increase("
        f'scoring_drift_rows_total{{variable!~"{calendar}"}}[1h]))\n'
        f"and on (variable, bin) {_REFERENCE}"
    )


def _shares(slo: Slo) -> str:
    """A variable with too few rows has no share, so no index and no alert."""
    return (
        f"{_ROWS}\n"
        f"/ on (variable) group_left () (sum by (variable) ({_ROWS}) >= {slo.drift.min_rows})"
    )


def _index(slo: Slo) -> str:
    least = number(slo.drift.min_share)
    seen = f"clamp_min({_SHARE}, {least})"
    expected = f"clamp_min({_EXPECTED}, {least})"
    return f"sum by (variable) (\n  ({seen} - {expected})\n  * ln({seen} / {expected})\n)"


def _weighted() -> str:
    """The mean over the variables that have an index; the others do not count as unchanged."""
    return (
        f"sum({_INDEX} * on (variable) {_IMPORTANCE})\n"
        f"/ (sum({_IMPORTANCE} and on (variable) {_INDEX}) > 0)"
    )


def _missing() -> str:
    """1 while no live model has a reference: there is then no drift, and no alert of it."""
    return f"clamp_max(count(scoring_model_live > 0), 1)\nunless on () {_REFERENCE}"
