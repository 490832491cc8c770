"""What the model says: figures of the last minutes, decisions, scores, camera classes."""

from itertools import pairwise
from typing import Final

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import (
    DOUBTFUL,
    NEUTRAL,
    Panel,
    cells,
    graph,
    grid,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.selectors import CHOSEN, mean, quantile, rate
from monitoring.grafana.panels.style import bars, coloured, column, listed_right, ordered, stacked

_DECISIONS: Final = "scoring_decisions_total"
# The instances and the camera classes chosen above the dashboard.
_CLASSES: Final = f'{CHOSEN},camera_class=~"$camera_class"'
_NETWORK: Final = f'{_CLASSES},decision="network"'
_COLOURS: Final = {"network": NEUTRAL, "manual": DOUBTFUL, "camera": "purple"}
_THRESHOLD: Final = "scoring_decision_threshold_ratio"


def figures() -> list[Panel]:
    """How much is scored, and which way the scores point."""
    return [
        number(
            "Rows scored",
            "suffix:rows/s",
            "Over the last five minutes.",
            now(f'sum(rate(scoring_rows_total{{result="scored",{CHOSEN}}}[5m]))'),
        ),
        _share("For the network", "network", "to take the network's reading"),
        _share("Manual", "manual", "to have a person look"),
    ]


def _share(title: str, decision: str, meaning: str) -> Number:
    words = (
        f"The share of rows for which it costs least {meaning}, by SCORING_COST_*. Of the chosen "
        "camera classes, over the last five minutes."
    )
    decided = f'sum(rate({_DECISIONS}{{{_CLASSES},decision="{decision}"}}[5m]))'
    of_all = f"sum(rate({_DECISIONS}{{{_CLASSES}}}[5m]))"
    return number(title, "percentunit", words, now(f"{decided} / {of_all}"))


def panels() -> list[Panel]:
    """The same over time, and by camera class."""
    by_class = (_network_by_class(), _rows_by_class())
    return [
        *(panel.height(12) for panel in (_decisions(), _scores(), _distribution())),
        *(listed_right(panel.span(12)) for panel in by_class),
    ]


def _decisions() -> Graph:
    words = (
        "What scores mean for the caller: the decision that costs least by SCORING_COST_*, as in "
        "the details of a score. Of the chosen camera classes."
    )
    decided = rate(_DECISIONS, _CLASSES)
    asked = over_time(f"sum by (decision) ({decided}) / scalar(sum({decided}))", "{{decision}}")
    return coloured(stacked(graph("Decisions", "percentunit", words, asked)).max(1), _COLOURS)


def _scores() -> Graph:
    words = (
        "The probability that the network's reading is the one to keep: its mean, and the score "
        "that 10, 50 and 90 % of rows stay under. All camera classes. Up to the camera's threshold "
        "the decision is the camera, from the network's on the network."
    )
    asked = [over_time(quantile(q, "scoring_positive"), f"p{q * 100:g}") for q in (0.1, 0.5, 0.9)]
    asked.append(over_time(mean("scoring_positive"), "mean"))
    thresholds = f"max by (decision) ({_THRESHOLD}{{{CHOSEN}}})"
    asked.append(over_time(thresholds, "threshold: {{decision}}"))
    return graph("Scores", "none", words, *asked).max(1)


def _distribution() -> Table:
    description = (
        "How the scores of the last hour are distributed, in tenths. Much at both ends: the model "
        "is sure; much in the middle: it is not. All camera classes."
    )
    counted = f"increase(scoring_positive_bucket{{{CHOSEN}}}[1h])"
    bounds = [f"{tenth / 10:g}" if tenth < 10 else "1.0" for tenth in range(11)]
    parts = []
    for low, high in pairwise(bounds):
        upper, lower = (f"sum({_le(counted, bound)})" for bound in (high, low))
        part = upper if low == "0" else f"({upper} - {lower})"
        parts.append(f'label_replace({part}, "range", "{low} to {high}", "", "")')
    whole = f"scalar(sum({_le(counted, '+Inf')}))"
    columns = {"range": "score", "A": "share of rows"}
    queries = [cells(f"({' or '.join(parts)}) / {whole}")]
    table = ordered(
        grid("Distribution of scores", "percentunit", description, queries, columns), "score"
    )
    column(table, "score", unit="string", width=100)
    return bars(table, "share of rows", decimals=1)


def _le(counted: str, bound: str) -> str:
    """The buckets up to a bound."""
    return counted.replace("}", f',le="{bound}"}}', 1)


def _network_by_class() -> Graph:
    words = (
        "The share of rows for which it costs least to take the network's reading, over five "
        "minutes. A class that leaves the others has new hardware, new settings, or dirt on its "
        "lens."
    )
    network, decided = (
        f"sum by (camera_class) (rate({_DECISIONS}{{{selector}}}[5m]))"
        for selector in (_NETWORK, _CLASSES)
    )
    asked = over_time(f"{network} / {decided}", "{{camera_class}}")
    return graph("For the network, by camera class", "percentunit", words, asked).max(1)


def _rows_by_class() -> Graph:
    words = "Scored rows; other: classes that the model never saw."
    by_class = f"sum by (camera_class) ({rate(_DECISIONS, _CLASSES)})"
    asked = over_time(by_class, "{{camera_class}}")
    return stacked(graph("Rows by camera class", "suffix:rows/s", words, asked))
