"""Drift: how far inputs and scores have moved from those of the training."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    Panel,
    Steps,
    cells,
    graph,
    grid,
    now,
    number,
    over_time,
    threshold_steps,
)
from monitoring.grafana.panels.layout import variable_now
from monitoring.grafana.panels.selectors import CHOSEN
from monitoring.grafana.panels.style import bars, column, limited, or_say, ordered
from monitoring.slo import Drift

# Where the bar of a bin is full that held a tenth of the rows in training.
_TWICE_AS_MANY: Final = 0.2
_NONE: Final = "No reference, or too few rows"


def weighted_now(limits: Drift) -> Number:
    """All features in one figure."""
    words = (
        "Population stability index of the last hour against the training, the mean of all "
        f"features weighted by importance: below {limits.warn:g} no change to speak of, above "
        f"{limits.alert:g} another population."
    )
    asked = now("scoring:drift_psi_weighted:1h")
    panel = number("Drift of the inputs", "none", words, asked, _steps(limits))
    return or_say(panel.decimals(3), _NONE)


def panels(limits: Drift) -> list[Panel]:
    """What has moved, how far, and into which values."""
    moved = (_most(limits), _variables(limits))
    into = (_scores(), _bins("Values of $feature", "$feature"))
    return [
        *(panel.span(12).height(8) for panel in moved),
        *(panel.span(12).height(13) for panel in into),
    ]


def watched() -> QueryVariable:
    """A choice among what the live model has a reference for."""
    asked = f"max by (variable) ({_reference()})"
    return variable_now("feature", "Drift of", asked, "variable", "camera_class")


def _reference(selector: str = "") -> str:
    """The shares in training; a model that is live no more left -1 in its bins."""
    return f"scoring_drift_reference_ratio{selector} >= 0"


def _steps(limits: Drift) -> Steps:
    return ((None, GOOD), (limits.warn, DOUBTFUL), (limits.alert, BAD))


def _most(limits: Drift) -> Graph:
    words = (
        "Population stability index of the last hour against the training: the eight variables "
        f"that have moved most. Above {limits.alert:g} it is another population: choose it above, "
        "and see which values have come or gone."
    )
    moved_most = "scoring:drift_psi:1h and topk(8, scoring:drift_psi:1h @ end())"
    panel = graph("What has moved most", "none", words, over_time(moved_most, "{{variable}}"))
    return or_say(limited(panel, limits.alert), _NONE)


def _variables(limits: Drift) -> Table:
    words = (
        "The index of every variable, beside what it weighs in the model. positive is the score "
        "itself. A great index with a small weight changes little."
    )
    asked = [
        cells("max by (variable) (scoring:drift_psi:1h)"),
        cells(f"max by (variable) (scoring_drift_importance_ratio{{{CHOSEN}}})"),
    ]
    columns = {"variable": "variable", "A": "index", "B": "weight"}
    table = ordered(grid("By variable", "none", words, asked, columns), "index", descending=True)
    table.thresholds(threshold_steps(_steps(limits)))
    column(table, "variable", unit="string", width=200)
    column(table, "index", decimals=3, cell={"type": "color-text"})
    column(table, "weight", unit="percentunit", decimals=1)
    return or_say(table, _NONE)


def _scores() -> Table:
    description = (
        "The share of rows in the last hour (now) beside that in training, by the score that they "
        "have at most. Each bin held a tenth of the rows in training. Bins of the live model alone."
    )
    usual, now, change = (
        f'label_replace({expr}, "bin", "1", "bin", "[+]Inf")' for expr in _shares("positive")
    )
    queries = [cells(expr) for expr in (usual, now, change)]
    columns = {"bin": "score up to", "A": "training", "B": "now", "C": "change"}
    table = grid("Scores by bin", "percentunit", description, queries, columns, number="bin")
    ordered(table, "score up to")
    column(table, "score up to", unit="none", decimals=3, width=110)
    for head in ("training", "now"):
        bars(table, head, decimals=1, max=_TWICE_AS_MANY)
    return or_say(column(table, "change", decimals=1, width=90), _NONE)


def _shares(variable: str) -> tuple[str, str, str]:
    """By bin: the share in training, the share of the last hour, and how much it has grown."""
    selector = f'{{variable="{variable}",{CHOSEN}}}'
    usual = f"max by (bin) ({_reference(selector)})"
    rows = f"(sum by (bin) (increase(scoring_drift_rows_total{selector}[1h])) and {usual})"
    share = f"{rows} / scalar(sum({rows}))"
    return usual, share, f"{share} - {usual}"


def _bins(title: str, variable: str) -> Table:
    words = (
        "The share of rows in the last hour (now) beside that in training, by upper bound or "
        "category, the shares that have grown most on top. Bins of the live model alone."
    )
    asked = [cells(expr) for expr in _shares(variable)]
    columns = {"bin": "bin", "A": "training", "B": "now", "C": "change"}
    table = grid(title, "percentunit", words, asked, columns)
    column(ordered(table, "change", descending=True), "bin", unit="string", width=180)
    for head in ("training", "now", "change"):
        column(table, head, decimals=1)
    return or_say(table, _NONE)
