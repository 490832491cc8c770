"""The dashboard *Model*: which one serves, what it says, and what another would have said."""

from typing import Final

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import changes, drift, scores, shadow
from monitoring.grafana.panels.kinds import BAD, GOOD, Panel, cells, graph, grid, over_time
from monitoring.grafana.panels.layout import Section, dashboard, variable
from monitoring.grafana.panels.selectors import CHOSEN, happened, rate
from monitoring.grafana.panels.style import (
    coloured,
    counted,
    limited,
    listed_right,
    stacked,
    stepped,
)
from monitoring.slo import Drift, Slo

_SCORED: Final = f"""scalar(sum({rate("scoring_rows_total", f'result="scored",{CHOSEN}')}))"""
_OTHERS: Final = "lookalike-letters|out-of-range|length-mismatch|implausible-time|readings-agree"
_SERVED: Final = f"sum by (version) (scoring_model_live{{{CHOSEN}}}) > 0"


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the bounds of drift as its limits."""
    inputs = (_unseen(slo.drift), _doubtful(slo.drift), _normalised(), _refused())
    at_a_glance: list[Panel] = [_versions(), *scores.figures(), drift.weighted_now(slo.drift)]
    return dashboard(
        "model",
        "Scoring: model",
        "Which model serves, its scores, its changes, unknown inputs, drift, a shadow beside it.",
        [
            Section("Now", [panel.height(5) for panel in at_a_glance]),
            Section("Scores", scores.panels()),
            Section("Changes of the model", [_workers_by_version(), _loads(), *changes.panels()]),
            Section("Inputs", [panel.span(12) for panel in inputs]),
            Section("Drift", drift.panels(slo.drift)),
            Section("Shadow", shadow.panels()),
        ],
        variable("camera_class", "Camera class", "scoring_decisions_total, camera_class"),
        drift.watched(),
    )


def _versions() -> Table:
    words = "The version each worker serves. More than one for long: a rollout that got stuck."
    columns = {"version": "version", "A": "served by"}
    return grid("Models that serve", "suffix:workers", words, [cells(_SERVED)], columns)


def _workers_by_version() -> Graph:
    words = "A rollout shows as one colour taking the place of another."
    asked = over_time(_SERVED, "{{version}}")
    return stepped(stacked(graph("Workers by model", "suffix:workers", words, asked)))


def _loads() -> Graph:
    words = (
        "Models that workers loaded, at their start or in a swap, and files that they refused. A "
        "refusal leaves the old model in force."
    )
    asked = over_time(happened("scoring_model_loads_total", "result"), "{{result}}")
    panel = counted(graph("Model loads", "suffix:models", words, asked))
    return coloured(panel, {"loaded": GOOD, "refused": BAD})


def _unseen(limits: Drift) -> Graph:
    words = (
        "The share of scored rows with a value that training never saw: such a score is hardly "
        "to be trusted. A new camera class means that it is time to train."
    )
    asked = over_time(f"{_with_warning('unseen-category')} / {_SCORED}", "{{field}}")
    panel = listed_right(graph("Unseen categories", "percentunit", words, asked), 140)
    return limited(panel, limits.unseen_ratio)


def _with_warning(kinds: str) -> str:
    """Rows with a warning, those that a guard refused among them."""
    selector = f'kind=~"{kinds}",{CHOSEN}'
    return f"sum by (kind, field) ({rate('scoring_warnings_total', selector)})"


def _doubtful(limits: Drift) -> Graph:
    words = (
        "The share of scored rows with another warning, by its kind and field: lists that hold no "
        "confidences (decimal commas) or not as many as the reading has characters, times that no "
        "plate was read at, readings that agree, Latin letters that look like Cyrillic ones."
    )
    asked = over_time(f"{_with_warning(_OTHERS)} / {_SCORED} > 0", "{{kind}} {{field}}")
    return limited(graph("Doubtful readings", "percentunit", words, asked), limits.doubtful_ratio)


def _normalised() -> Graph:
    words = (
        "The share of scored rows in which a guard put the spelling of a field right: they count "
        "as neither unseen nor Latin. Their senders should be told."
    )
    asked = over_time(f"{_with_warning('normalised')} / {_SCORED}", "{{field}}")
    return graph("Values put right", "percentunit", words, asked)


def _refused() -> Graph:
    words = "Which field was missing, unreadable or out of range; body: the request as a whole."
    rows = f"sum by (field) ({rate('scoring_rows_refused_total')}) > 0"
    asked = over_time(f'label_replace({rows}, "field", "body", "field", "")', "{{field}}")
    return listed_right(graph("Refused rows by field", "suffix:rows/s", words, asked), 240)
