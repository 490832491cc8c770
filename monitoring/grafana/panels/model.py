"""The dashboard *Model*: version, scores, changes, inputs, drift, shadow, capture, others."""

from typing import Final

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import capture, catalog, changes, drift, scores, shadow
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
    """The dashboard, with the limits of drift."""
    inputs = (_unseen(slo.drift), _doubtful(slo.drift), _normalised(), _refused())
    summary: list[Panel] = [_versions(), *scores.figures(), drift.weighted_now(slo.drift)]
    return dashboard(
        "model",
        "Scoring: model",
        "The live version, its scores, its changes, doubtful inputs, drift, the shadow model.",
        [
            Section("Now", [panel.height(5) for panel in summary]),
            Section("Scores", scores.panels()),
            Section("Changes of the model", [_workers_by_version(), _loads(), *changes.panels()]),
            Section("Inputs", [panel.span(12) for panel in inputs]),
            Section("Drift", drift.panels(slo.drift)),
            Section("Shadow", shadow.panels()),
            Section("Capture for training", capture.panels()),
            Section("Other models", catalog.panels()),
        ],
        variable("camera_class", "Camera class", "scoring_decisions_total, camera_class"),
        drift.watched(),
    )


def _versions() -> Table:
    description = (
        "Workers by the version that they serve. Several versions for long: a rollout hangs."
    )
    columns = {"version": "version", "A": "served by"}
    return grid("Live versions", "suffix:workers", description, [cells(_SERVED)], columns)


def _workers_by_version() -> Graph:
    description = "Workers by version over time: in a rollout one colour replaces another."
    query = over_time(_SERVED, "{{version}}")
    return stepped(stacked(graph("Workers by model", "suffix:workers", description, query)))


def _loads() -> Graph:
    description = (
        "Models that workers loaded, at their start or in a swap, and files that they refused. "
        "After a refusal the workers keep the old model."
    )
    query = over_time(happened("scoring_model_loads_total", "result"), "{{result}}")
    panel = counted(graph("Model loads", "suffix:models", description, query))
    return coloured(panel, {"loaded": GOOD, "refused": BAD})


def _unseen(limits: Drift) -> Graph:
    description = (
        "The share of scored rows with a value that does not occur in the training data: their "
        "scores are not reliable. A new camera class needs a new training."
    )
    query = over_time(f"{_with_warning('unseen-category')} / {_SCORED}", "{{field}}")
    panel = listed_right(graph("Unseen categories", "percentunit", description, query), 140)
    return limited(panel, limits.unseen_ratio)


def _with_warning(kinds: str) -> str:
    """The rate of rows with a warning, including those that a guard refused."""
    selector = f'kind=~"{kinds}",{CHOSEN}'
    return f"sum by (kind, field) ({rate('scoring_warnings_total', selector)})"


def _doubtful(limits: Drift) -> Graph:
    description = (
        "The share of scored rows with another warning, by kind and field: lists without "
        "confidences (decimal commas) or of another length than the reading, implausible times, "
        "readings that agree, Latin letters that look like Cyrillic ones."
    )
    query = over_time(f"{_with_warning(_OTHERS)} / {_SCORED} > 0", "{{kind}} {{field}}")
    return limited(
        graph("Doubtful readings", "percentunit", description, query), limits.doubtful_ratio
    )


def _normalised() -> Graph:
    description = (
        "The share of scored rows in which a guard corrected the spelling of a field: they count "
        "as neither unseen nor Latin. Their senders should correct it."
    )
    query = over_time(f"{_with_warning('normalised')} / {_SCORED}", "{{field}}")
    return graph("Corrected values", "percentunit", description, query)


def _refused() -> Graph:
    description = (
        "Rows by the field that is missing, invalid or out of range; body: the request as a whole."
    )
    rows = f"sum by (field) ({rate('scoring_rows_refused_total')}) > 0"
    query = over_time(f'label_replace({rows}, "field", "body", "field", "")', "{{field}}")
    return listed_right(graph("Refused rows by field", "suffix:rows/s", description, query), 240)
