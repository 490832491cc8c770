"""Scores: current numbers, decisions, distribution, camera classes."""

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
    """The rate of scored rows, and the shares of decisions."""
    return [
        number(
            "Rows scored",
            "suffix:rows/s",
            "Rows scored per second, over the last five minutes.",
            now(f'sum(rate(scoring_rows_total{{result="scored",{CHOSEN}}}[5m]))'),
        ),
        _share("Network", "network", "to use the network's reading"),
        _share("Manual", "manual", "to review it manually"),
    ]


def _share(title: str, decision: str, meaning: str) -> Number:
    description = (
        f"The share of rows for which the decision is {meaning}, by the thresholds in force, over "
        "the last five minutes. Chosen camera classes only."
    )
    decided = f'sum(rate({_DECISIONS}{{{_CLASSES},decision="{decision}"}}[5m]))'
    of_all = f"sum(rate({_DECISIONS}{{{_CLASSES}}}[5m]))"
    return number(title, "percentunit", description, now(f"{decided} / {of_all}"))


def panels() -> list[Panel]:
    """Decisions and scores over time, and by camera class."""
    by_class = (_network_by_class(), _rows_by_class())
    return [
        *(panel.height(12) for panel in (_decisions(), _scores(), _distribution())),
        *(listed_right(panel.span(12)) for panel in by_class),
    ]


def _decisions() -> Graph:
    description = (
        "The decision by the thresholds in force, as in the details of a score: those of the live "
        "version's manifest, or those of SCORING_COST_*. Chosen camera classes only."
    )
    decided = rate(_DECISIONS, _CLASSES)
    query = over_time(f"sum by (decision) ({decided}) / scalar(sum({decided}))", "{{decision}}")
    return coloured(stacked(graph("Decisions", "percentunit", description, query)).max(1), _COLOURS)


def _scores() -> Graph:
    description = (
        "The probability that the network's reading is right: its mean, and the 10th, 50th and "
        "90th percentile. All camera classes. Up to the camera's threshold the decision is "
        "camera, from the network's threshold on it is network."
    )
    queries = [over_time(quantile(q, "scoring_positive"), f"p{q * 100:g}") for q in (0.1, 0.5, 0.9)]
    queries.append(over_time(mean("scoring_positive"), "mean"))
    thresholds = f"max by (decision) ({_THRESHOLD}{{{CHOSEN}}})"
    queries.append(over_time(thresholds, "threshold: {{decision}}"))
    return graph("Scores", "none", description, *queries).max(1)


def _distribution() -> Table:
    description = (
        "The distribution of the last hour's scores, in tenths. Many rows at both ends: the model "
        "is certain; many in the middle: it is not. All camera classes."
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
    description = (
        "The share of rows with the decision network, over five minutes. A class that departs from "
        "the others has new hardware, new settings or a dirty lens."
    )
    network, decided = (
        f"sum by (camera_class) (rate({_DECISIONS}{{{selector}}}[5m]))"
        for selector in (_NETWORK, _CLASSES)
    )
    query = over_time(f"{network} / {decided}", "{{camera_class}}")
    return graph("Network, by camera class", "percentunit", description, query).max(1)


def _rows_by_class() -> Graph:
    description = "Scored rows; other: classes that do not occur in the training data."
    by_class = f"sum by (camera_class) ({rate(_DECISIONS, _CLASSES)})"
    query = over_time(by_class, "{{camera_class}}")
    return stacked(graph("Rows by camera class", "suffix:rows/s", description, query))
