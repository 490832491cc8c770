"""The shadow model: its scores of the same rows against the live scores."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    NEUTRAL,
    Panel,
    graph,
    over_time,
)
from monitoring.grafana.panels.selectors import CHOSEN, rate
from monitoring.grafana.panels.style import coloured, listed_right, stacked

_ROWS: Final = "scoring_shadow_rows_total"
_COMPARED: Final = "scoring_shadow_compared_rows_total"
_FLIPS: Final = "scoring_shadow_flips_total"
_DIFFERENCE: Final = "scoring_shadow_difference"
_CLASSES: Final = f'{CHOSEN},camera_class=~"$camera_class"'
# Lower and upper bound of the bucket, legend, colour.
_BANDS: Final = (
    ("", "-0.1", "lower by more than 0.1", "purple"),
    ("-0.1", "-0.01", "lower by 0.01 to 0.1", "semi-dark-purple"),
    ("-0.01", "0.01", "within 0.01", GOOD),
    ("0.01", "0.1", "higher by 0.01 to 0.1", "semi-dark-blue"),
    ("0.1", "+Inf", "higher by more than 0.1", NEUTRAL),
)


def panels() -> list[Panel]:
    """Differences, flips of the class at 0.5, and the rows that were compared."""
    small = (_directions(), _outcome(), _dropped(), _queue())
    return [
        *(listed_right(panel.span(12), 220) for panel in (_differences(), _flips())),
        *(panel.span(6) for panel in small),
    ]


def _share(part: str, whole: str) -> str:
    """A share that is zero without rows, as without a shadow model."""
    return f"{part} / clamp_min({whole}, 1e-9)"


def _differences() -> Graph:
    description = (
        "The shadow model's score minus the live score, as shares of the rows that both scored. "
        "Higher: the shadow model prefers the network more often. All camera classes."
    )
    whole = _between("", "+Inf")  # of a histogram with negative bounds there is no count
    queries = [
        over_time(_share(_between(low, high), whole), legend) for low, high, legend, _ in _BANDS
    ]
    panel = stacked(graph("Shadow minus live", "percentunit", description, *queries)).max(1)
    return coloured(panel, {legend: color for _, _, legend, color in _BANDS})


def _between(low: str, high: str) -> str:
    """The rows between two bounds of buckets."""
    selectors = [f'{CHOSEN},le="{bound}"' for bound in (high, low) if bound]
    up_to = [f"sum({rate(f'{_DIFFERENCE}_bucket', selector)})" for selector in selectors]
    return f"({' - '.join(up_to)})"


def _flips() -> Graph:
    description = (
        "The share of rows whose class at 0.5 is another one by the shadow model, by camera class. "
        "The promotion gate counts so, too. Decisions by other thresholds are not counted here."
    )
    flips, compared = (
        f"sum by (camera_class) ({rate(counter, _CLASSES)})" for counter in (_FLIPS, _COMPARED)
    )
    query = over_time(_share(flips, compared), "{{camera_class}}")
    return graph("Shadow flips, by camera class", "percentunit", description, query)


def _directions() -> Graph:
    description = (
        "The same rows by the class that only the shadow model gives at 0.5. One direction alone "
        "is a shift of the scores; both directions are different judgements."
    )
    query = over_time(f"sum by (direction) ({rate(_FLIPS, _CLASSES)})", "{{direction}}")
    panel = stacked(graph("Shadow flips, by direction", "suffix:rows/s", description, query))
    return coloured(panel, {"to_camera": "purple", "to_network": NEUTRAL})


def _outcome() -> Graph:
    description = (
        "Rows that were sampled for the shadow model. Dropped: it was busy, or callers waited. No "
        "rows: there is no shadow model."
    )
    query = over_time(f"sum by (result) ({rate(_ROWS)})", "{{result}}")
    panel = stacked(graph("Shadow rows by outcome", "suffix:rows/s", description, query))
    return coloured(panel, {"scored": GOOD, "dropped": DOUBTFUL, "failed": BAD})


def _dropped() -> Graph:
    description = (
        "The share of the sampled rows that was dropped. If it is large, the comparison "
        "overrepresents quiet times; a smaller SCORING_SHADOW_SHARE samples evenly."
    )
    selectors = (f'result="dropped",{CHOSEN}', CHOSEN)
    dropped, picked = (f"sum({rate(_ROWS, selector)})" for selector in selectors)
    query = over_time(_share(dropped, picked), "dropped")
    panel = graph("Shadow rows dropped", "percentunit", description, query).max(1)
    return coloured(panel, {"dropped": DOUBTFUL})


def _queue() -> Graph:
    description = (
        "Rows that wait for the shadow model in the worker with most; at most "
        "SCORING_SHADOW_QUEUE_ROWS."
    )
    query = over_time(f"max by (instance) (scoring_shadow_queue_rows{{{CHOSEN}}})", "{{instance}}")
    return graph("Shadow rows waiting", "suffix:rows", description, query)
