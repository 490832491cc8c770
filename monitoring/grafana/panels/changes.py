"""Changes of the model: the generation of each worker, and whether workers reach the registry."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN
from monitoring.grafana.panels.style import if_empty, stepped

_NONE: Final = "No registry is followed"


def panels() -> list[Panel]:
    """Panels for servers that follow a registry."""
    return [_generation(), *(panel.span(12) for panel in (_mixed(), _registry()))]


def _generation() -> Graph:
    description = (
        "Each promotion and rollback in the registry is a new generation; all workers of a host "
        "change over together. A line that stays below the others is a worker or host that did not."
    )
    served = f"max by (instance, worker) (scoring_model_generation{{{CHOSEN}}})"
    query = over_time(served, "{{instance}} {{worker}}")
    return if_empty(stepped(graph("Generation by worker", "short", description, query)), _NONE)


def _mixed() -> Graph:
    description = (
        "Time from the first worker of a host that served the new version to the last, in the "
        "latest change. A few milliseconds are usual."
    )
    mixed = f"max by (instance) (scoring_model_mixed_seconds{{{CHOSEN}}})"
    panel = graph(
        "Versions mixed, latest change", "s", description, over_time(mixed, "{{instance}}")
    )
    return if_empty(panel, "No change yet")


def _registry() -> Graph:
    description = (
        "The share of an instance's workers that can read the registry and a live version in it. "
        "The others keep the version that they serve, and no change reaches them."
    )
    query = over_time(f"avg by (instance) (scoring_model_registry_up{{{CHOSEN}}})", "{{instance}}")
    panel = graph("Workers that reach the registry", "percentunit", description, query).max(1)
    return if_empty(panel, _NONE)
