"""Drift: the distance of inputs and scores from those of the training; expected accuracy."""

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
from monitoring.grafana.panels.style import bars, column, if_empty, in_words, limited, ordered
from monitoring.slo import Drift

# The full bar of a bin that had a tenth of the rows in training.
_TWICE_AS_MANY: Final = 0.2
_NONE: Final = "No reference, or too few rows"
# The index of a model without a reference; no index is negative.
_NO_REFERENCE: Final = -1


def weighted_now(limits: Drift) -> Number:
    """The drift of all features in one number."""
    description = (
        "Population stability index of the last hour against the training: the mean of all "
        f"features, weighted by importance. Below {limits.warn:g} there is no relevant change, "
        f"above {limits.alert:g} the population is another. A model without a drift reference has "
        "neither an index nor an alert: python -m model.registry add --reference-from gives it one."
    )
    query = now("scoring:drift_psi_weighted:1h or -scoring:drift_reference_missing")
    panel = number("Drift of the inputs", "none", description, query, _steps(limits)).decimals(3)
    panel.mappings([in_words(_NO_REFERENCE, "No drift reference", DOUBTFUL)])
    return if_empty(panel, "Too few rows")


def panels(limits: Drift) -> list[Panel]:
    """The variables with the largest drift, expected accuracy, and where their rows moved to."""
    moved = (_most(limits), _variables(limits))
    into = (_scores(), _bins("Values of $feature", "$feature"))
    accuracy = (_expected_accuracy(), _segments())
    return [
        *(panel.span(12).height(8) for panel in (*moved, *accuracy)),
        *(panel.span(12).height(13) for panel in into),
    ]


def watched() -> QueryVariable:
    """A choice among the variables that the live model has a reference for."""
    query = f"max by (variable) ({_reference()})"
    return variable_now("feature", "Drift of", query, "variable", "camera_class")


def _reference(selector: str = "") -> str:
    """The shares in training; the bins of a former model have -1."""
    return f"scoring_drift_reference_ratio{selector} >= 0"


def _steps(limits: Drift) -> Steps:
    return ((None, GOOD), (limits.warn, DOUBTFUL), (limits.alert, BAD))


def _most(limits: Drift) -> Graph:
    description = (
        "Population stability index of the last hour against the training: the eight variables "
        f"with the largest drift. Above {limits.alert:g} the population is another: choose the "
        "variable above to see which values became more or less frequent."
    )
    moved_most = "scoring:drift_psi:1h and topk(8, scoring:drift_psi:1h @ end())"
    panel = graph("Largest drift", "none", description, over_time(moved_most, "{{variable}}"))
    return if_empty(limited(panel, limits.alert), _NONE)


def _variables(limits: Drift) -> Table:
    description = (
        "The index of every variable and its weight in the model. positive is the score itself. A "
        "large index with a small weight has little effect."
    )
    queries = [
        cells("max by (variable) (scoring:drift_psi:1h)"),
        cells(f"max by (variable) (scoring_drift_importance_ratio{{{CHOSEN}}})"),
    ]
    columns = {"variable": "variable", "A": "index", "B": "weight"}
    table = ordered(
        grid("By variable", "none", description, queries, columns), "index", descending=True
    )
    table.thresholds(threshold_steps(_steps(limits)))
    column(table, "variable", unit="string", width=200)
    column(table, "index", decimals=3, cell={"type": "color-text"})
    column(table, "weight", unit="percentunit", decimals=1)
    return if_empty(table, _NONE)


def _expected_accuracy() -> Graph:
    description = (
        "The accuracy that the last hour's scores lead to expect, as long as they are calibrated: "
        "the mean of max(p, 1 - p). Held out: what the live model had on labelled rows, by its "
        "manifest. Expected far below it: the rows have become harder, or are others."
    )
    expected, held_out = _accuracy("positive"), f"max(scoring_held_out_accuracy_ratio{{{CHOSEN}}})"
    queries = [
        over_time(f"sum({expected[0]}) / sum({expected[1]})", "expected"),
        over_time(f"{held_out} >= 0", "held out"),
    ]
    return if_empty(graph("Expected accuracy", "percentunit", description, *queries).max(1), _NONE)


def _segments() -> Table:
    description = (
        "The expected accuracy of the last hour by camera type and class and by the formats of "
        "both readings; the lowest is on top. Segments with at least 100 rows."
    )
    correct, rows = _accuracy("camera_type|camera_class|regno_template|regno_template_ai")
    by_bin = [f"sum by (variable, bin) ({counted})" for counted in (correct, rows)]
    enough = f"({by_bin[1]} >= 100)"
    queries = [cells(enough), cells(f"{by_bin[0]} / {enough}")]
    columns = {"variable": "segment", "bin": "value", "A": "rows", "B": "expected accuracy"}
    table = grid("Expected accuracy by segment", "percentunit", description, queries, columns)
    ordered(table, "expected accuracy")
    column(table, "segment", unit="string", width=150)
    column(table, "value", unit="string", width=180)
    column(table, "rows", unit="none", decimals=0)
    return if_empty(column(table, "expected accuracy", decimals=1), _NONE)


def _accuracy(variables: str) -> tuple[str, str]:
    """The rows of the last hour that are expected to be right, and all of them."""
    selector = f'{{variable=~"{variables}",{CHOSEN}}}'
    names = ("scoring_expected_correct_rows_total", "scoring_drift_rows_total")
    correct, rows = (f"increase({name}{selector}[1h])" for name in names)
    return correct, rows


def _scores() -> Table:
    description = (
        "The share of rows in the last hour (now) and in training, by the upper bound of the "
        "score. Each bin had a tenth of the rows in training. Bins of the live model only."
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
    return if_empty(column(table, "change", decimals=1, width=90), _NONE)


def _shares(variable: str) -> tuple[str, str, str]:
    """By bin: the share in training, the share in the last hour, and the difference."""
    selector = f'{{variable="{variable}",{CHOSEN}}}'
    usual = f"max by (bin) ({_reference(selector)})"
    rows = f"(sum by (bin) (increase(scoring_drift_rows_total{selector}[1h])) and {usual})"
    share = f"{rows} / scalar(sum({rows}))"
    return usual, share, f"{share} - {usual}"


def _bins(title: str, variable: str) -> Table:
    description = (
        "The share of rows in the last hour (now) and in training, by upper bound or category; the "
        "largest increase is on top. Bins of the live model only."
    )
    queries = [cells(expr) for expr in _shares(variable)]
    columns = {"bin": "bin", "A": "training", "B": "now", "C": "change"}
    table = grid(title, "percentunit", description, queries, columns)
    column(ordered(table, "change", descending=True), "bin", unit="string", width=180)
    for head in ("training", "now", "change"):
        column(table, head, decimals=1)
    return if_empty(table, _NONE)
