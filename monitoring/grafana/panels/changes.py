"""Changes of the model: what workers follow, how well together, and whether they still can."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN
from monitoring.grafana.panels.style import or_say, stepped

_NONE: Final = "No registry is followed"


def panels() -> list[Panel]:
    """Of servers that follow a registry."""
    return [_generation(), *(panel.span(12) for panel in (_mixed(), _registry()))]


def _generation() -> Graph:
    words = (
        "Each promotion and rollback in the registry is a new generation; workers of a host change "
        "over together. A line that stays below the others: a worker, or a host, left behind."
    )
    served = f"max by (instance, worker) (scoring_model_generation{{{CHOSEN}}})"
    asked = over_time(served, "{{instance}} {{worker}}")
    return or_say(stepped(graph("Generation by worker", "short", words, asked)), _NONE)


def _mixed() -> Graph:
    words = (
        "From the first worker of a host that served the new version to the last, in its latest "
        "change. Some milliseconds are usual."
    )
    mixed = f"max by (instance) (scoring_model_mixed_seconds{{{CHOSEN}}})"
    panel = graph("Versions mixed, latest change", "s", words, over_time(mixed, "{{instance}}"))
    return or_say(panel, "No change yet")


def _registry() -> Graph:
    words = (
        "The share of an instance's workers that can read the registry and find a live version "
        "named there. The others serve what they have, and no change reaches them."
    )
    asked = over_time(f"avg by (instance) (scoring_model_registry_up{{{CHOSEN}}})", "{{instance}}")
    panel = graph("Workers that reach the registry", "percentunit", words, asked).max(1)
    return or_say(panel, _NONE)
