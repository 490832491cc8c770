"""Drift of inputs and scores: the population stability index, in PromQL.

The index of a variable is the sum over its bins of (a - e) * ln(a / e), with `a` the share of
the last hour's rows in the bin and `e` its share in training: Siddiqi, "Credit Risk Scorecards"
(2006), where its thresholds 0.1 and 0.25 come from too; its distribution is in Yurdakul and
Naranjo, "Statistical properties of the population stability index" (2020).

An empty bin has no logarithm, so shares have a minimum, as is usual. The minimum also bounds the
effect of a bin without an expected row: at 0.0001, 10 % of the rows in a new bin give
(0.1 - 0.0001) * ln(1000) = 0.69.
"""

from typing import Final, NamedTuple

from monitoring.rules.promql import Group, Rule, group, number, record
from monitoring.slo import Slo

# A series can't be deleted: the bins of a former model have the share -1.
_IMPORTANCE: Final = "max by (variable) (scoring_drift_importance_ratio)"


class _Drift(NamedTuple):
    """The series of a kind of models; `by` are the labels of a variable."""

    recorded: str
    exported: str
    by: str

    @property
    def rows(self) -> str:
        return f"{self.recorded}_rows:increase1h"

    @property
    def share(self) -> str:
        return f"{self.recorded}_share:1h"

    @property
    def psi(self) -> str:
        return f"{self.recorded}_psi:1h"

    @property
    def reference(self) -> str:
        return f"({self.exported}_reference_ratio >= 0)"


_DEFAULT: Final = _Drift("scoring:drift", "scoring_drift", "variable")
_OTHERS: Final = _Drift("scoring:catalog_drift", "scoring_catalog_drift", "model, variable")


def groups(slo: Slo) -> list[Group]:
    """Rows by bin, their shares, the index of each variable and of all, a missing reference."""
    rules = [
        *_recorded(slo, _DEFAULT),
        record("scoring:drift_psi_weighted:1h", _weighted()),
        record("scoring:drift_reference_missing", _missing()),
        *_recorded(slo, _OTHERS),
    ]
    return [group("scoring-drift", rules, "1m")]


def _recorded(slo: Slo, drift: _Drift) -> list[Rule]:
    return [
        record(drift.rows, _rows(slo, drift)),
        record(drift.share, _shares(slo, drift)),
        record(drift.psi, _index(slo, drift)),
    ]


def _rows(slo: Slo, drift: _Drift) -> str:
    """Rows of all instances in the bins of the live model, without those of former models."""
    calendar = "|".join(slo.drift.calendar_variables)
    return (
        f"sum by ({drift.by}, bin) (increase("
        f'{drift.exported}_rows_total{{variable!~"{calendar}"}}[1h]))\n'
        f"and on ({drift.by}, bin) {drift.reference}"
    )


def _shares(slo: Slo, drift: _Drift) -> str:
    """A variable with too few rows has no share, so no index and no alert."""
    whole = f"(sum by ({drift.by}) ({drift.rows}) >= {slo.drift.min_rows})"
    return f"{drift.rows}\n/ on ({drift.by}) group_left () {whole}"


def _index(slo: Slo, drift: _Drift) -> str:
    least = number(slo.drift.min_share)
    seen = f"clamp_min({drift.share}, {least})"
    # If two versions are live, the greater share counts.
    expected = f"clamp_min(max by ({drift.by}, bin) {drift.reference}, {least})"
    return f"sum by ({drift.by}) (\n  ({seen} - {expected})\n  * ln({seen} / {expected})\n)"


def _weighted() -> str:
    """The mean over the variables that have an index; the others do not count as unchanged."""
    return (
        f"sum({_DEFAULT.psi} * on (variable) {_IMPORTANCE})\n"
        f"/ (sum({_IMPORTANCE} and on (variable) {_DEFAULT.psi}) > 0)"
    )


def _missing() -> str:
    """1 while no live model has a reference: there is then no drift, and no alert of it."""
    return f"clamp_max(count(scoring_model_live > 0), 1)\nunless on () {_DEFAULT.reference}"
