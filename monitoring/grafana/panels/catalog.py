"""Models of the catalog other than the default one: rows, versions, refusals, by model."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN, rate
from monitoring.grafana.panels.style import if_empty, stacked, stepped

_NONE: Final = "No other model is served"


def panels() -> list[Panel]:
    """Panels with a line for each model, empty where the default model is the only one."""
    return [if_empty(panel, _NONE).span(8) for panel in (_rows(), _versions(), _faults())]


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
