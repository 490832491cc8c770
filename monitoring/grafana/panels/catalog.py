"""Models of the catalog other than the default one: rows, versions, refusals, by model."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN, rate
from monitoring.grafana.panels.style import if_empty, stacked, stepped

_NONE: Final = "No other model is served"


def panels() -> list[Panel]:
    """Panels with a line for each model, empty where the default model is the only one."""
    made = (_rows(), _versions(), _faults(), _drift(), _confidence(), _accuracy())
    return [if_empty(panel, _NONE).span(8) for panel in made]


def _rows() -> Graph:
    description = (
        "Rows of each model other than the default one: scored, refused as invalid, or failed."
    )
    query = over_time(
        f"sum by (model, result) ({rate('scoring_catalog_rows_total')})", "{{model}} {{result}}"
    )
    return stacked(graph("Rows of other models", "suffix:rows/s", description, query))


def _versions() -> Graph:
    description = "Workers by the version that they serve of each model."
    served = f"sum by (model, version) (scoring_catalog_live{{{CHOSEN}}}) > 0"
    query = over_time(served, "{{model}} {{version}}")
    return stepped(stacked(graph("Workers by version", "suffix:workers", description, query)))


def _faults() -> Graph:
    description = (
        "The share of workers that refuse the live version of a model, or that can't follow its "
        "registry. They keep the version that they serve; no change reaches them."
    )
    refused = f"avg by (model) (scoring_catalog_live_refused{{{CHOSEN}}})"
    unreachable = f"1 - avg by (model) (scoring_catalog_registry_up{{{CHOSEN}}})"
    queries = (
        over_time(refused, "{{model}} refused"),
        over_time(unreachable, "{{model}} registry unreachable"),
    )
    panel = graph("Versions refused, registry unreachable", "percentunit", description, *queries)
    return panel.max(1)


def _drift() -> Graph:
    description = (
        "Population stability index of the last hour against the reference of the live version, "
        "of each variable; positive is the score itself."
    )
    query = over_time("scoring:catalog_drift_psi:1h", "{{model}} {{variable}}")
    return graph("Drift of other models", "none", description, query)


def _confidence() -> Graph:
    description = "The mean score: how probably the answers are right, or yes."
    total, count = (rate(f"scoring_catalog_positive_{part}") for part in ("sum", "count"))
    query = over_time(f"sum by (model) ({total}) / sum by (model) ({count})", "{{model}}")
    return graph("Mean score of other models", "percentunit", description, query).max(1)


def _accuracy() -> Graph:
    description = (
        "The share of the last hour's rows whose answer is expected to be right, by calibrated "
        "scores. Held out: what the live version had on labelled rows, by its manifest."
    )
    correct, rows = (
        f'sum by (model) (increase(scoring_catalog_{name}_rows_total{{variable="positive"}}[1h]))'
        for name in ("expected_correct", "drift")
    )
    held_out = f"max by (model) (scoring_catalog_held_out_accuracy_ratio{{{CHOSEN}}}) >= 0"
    queries = (
        over_time(f"{correct} / {rows}", "{{model}} expected"),
        over_time(held_out, "{{model}} held out"),
    )
    return graph("Expected accuracy of other models", "percentunit", description, *queries).max(1)
