"""The shadow model: what a second one would have said to the rows that were scored."""

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
# From the bucket's bound before it to its own, in the words of the legend; each a colour.
_BANDS: Final = (
    ("", "-0.1", "lower by more than 0.1", "purple"),
    ("-0.1", "-0.01", "lower by 0.01 to 0.1", "semi-dark-purple"),
    ("-0.01", "0.01", "within 0.01", GOOD),
    ("0.01", "0.1", "higher by 0.01 to 0.1", "semi-dark-blue"),
    ("0.1", "+Inf", "higher by more than 0.1", NEUTRAL),
)


def panels() -> list[Panel]:
    """How far it differs, where its class at 0.5 is another, and how many rows that was seen on."""
    small = (_directions(), _outcome(), _dropped(), _queue())
    return [
        *(listed_right(panel.span(12), 220) for panel in (_differences(), _flips())),
        *(panel.span(6) for panel in small),
    ]


def _share(part: str, whole: str) -> str:
    """Of no rows at all, none: without a shadow model the lines stay at zero."""
    return f"{part} / clamp_min({whole}, 1e-9)"


def _differences() -> Graph:
    words = (
        "The shadow model's score minus the live one, as shares of the rows that both scored. "
        "Higher: it believes the network more. All camera classes."
    )
    whole = _between("", "+Inf")  # of a histogram with negative bounds there is no count
    asked = [
        over_time(_share(_between(low, high), whole), legend) for low, high, legend, _ in _BANDS
    ]
    panel = stacked(graph("Shadow minus live", "percentunit", words, *asked)).max(1)
    return coloured(panel, {legend: color for _, _, legend, color in _BANDS})


def _between(low: str, high: str) -> str:
    """Rows of the buckets above a bound, up to another."""
    selectors = [f'{CHOSEN},le="{bound}"' for bound in (high, low) if bound]
    up_to = [f"sum({rate(f'{_DIFFERENCE}_bucket', selector)})" for selector in selectors]
    return f"({' - '.join(up_to)})"


def _flips() -> Graph:
    words = (
        "The share of rows whose class at 0.5 is another one by the shadow model, by camera class. "
        "The promotion gate counts so, too. Decisions by other thresholds are not counted here."
    )
    flips, compared = (
        f"sum by (camera_class) ({rate(counter, _CLASSES)})" for counter in (_FLIPS, _COMPARED)
    )
    asked = over_time(_share(flips, compared), "{{camera_class}}")
    return graph("Shadow flips, by camera class", "percentunit", words, asked)


def _directions() -> Graph:
    words = (
        "The same rows, by whom the shadow model believes at 0.5 where the live one does not. "
        "One direction alone is a shift, both are another opinion."
    )
    asked = over_time(f"sum by (direction) ({rate(_FLIPS, _CLASSES)})", "{{direction}}")
    panel = stacked(graph("Shadow flips, by direction", "suffix:rows/s", words, asked))
    return coloured(panel, {"to_camera": "purple", "to_network": NEUTRAL})


def _outcome() -> Graph:
    words = (
        "Rows picked for the shadow model. Dropped: it had no time, or callers had to wait. "
        "None at all: there is no shadow model."
    )
    asked = over_time(f"sum by (result) ({rate(_ROWS)})", "{{result}}")
    panel = stacked(graph("Shadow rows by outcome", "suffix:rows/s", words, asked))
    return coloured(panel, {"scored": GOOD, "dropped": DOUBTFUL, "failed": BAD})


def _dropped() -> Graph:
    words = (
        "The share of the picked rows that was dropped. Much of it: what is left tells more of "
        "quiet times than of busy ones; a smaller SCORING_SHADOW_SHARE picks evenly."
    )
    selectors = (f'result="dropped",{CHOSEN}', CHOSEN)
    dropped, picked = (f"sum({rate(_ROWS, selector)})" for selector in selectors)
    asked = over_time(_share(dropped, picked), "dropped")
    panel = graph("Shadow rows dropped", "percentunit", words, asked).max(1)
    return coloured(panel, {"dropped": DOUBTFUL})


def _queue() -> Graph:
    words = (
        "Rows that wait for the shadow model in the fullest worker; SCORING_SHADOW_ROOM at most."
    )
    asked = over_time(f"max by (instance) (scoring_shadow_queue_rows{{{CHOSEN}}})", "{{instance}}")
    return graph("Shadow rows waiting", "suffix:rows", words, asked)
