"""The dashboard *Quality*: wrong decisions, their cost, and scores, by labels that came later."""

from collections.abc import Sequence
from typing import Final, TypeVar

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    cells,
    graph,
    grid,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.layout import Section, dashboard
from monitoring.grafana.panels.selectors import CHOSEN
from monitoring.grafana.panels.style import column, if_empty, limited, ordered
from monitoring.slo import Quality, Slo

_Kind = TypeVar("_Kind", Graph, Number, Table)

_NONE: Final = "No audited labels, or the sink is not scraped (SCORING_SINK_METRICS_BIND)"
_ALL: Final = f'by="all",{CHOSEN}'
# A table has a column for each of these, with its unit.
_COLUMNS: Final = {
    "wrong_ratio": ("Wrong", "percentunit"),
    "wrong_low_ratio": ("From", "percentunit"),
    "wrong_high_ratio": ("To", "percentunit"),
    "audited_labels": ("Labels", "short"),
    "cost": ("Cost", "none"),
    "auc": ("AUC", "none"),
    "log_loss": ("Log loss", "none"),
    "calibration_error": ("ECE", "none"),
}


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the limit of the evidence."""
    limits = slo.quality
    over = [_wrong(), _evidence(limits), _ranking(), _calibration()]
    return dashboard(
        "quality",
        "Scoring: quality",
        "Decisions by labels that came later, weighted by audit draws.",
        [
            Section("Now", _empty(_figures(limits), 4)),
            Section("Over time: decisions of the last days, as labelled then", _empty(over, 12)),
            Section("By day and class", _empty([_table("day"), _table("class")], 12)),
            Section("By version and decision", _empty([_table("version"), _table("decision")], 12)),
        ],
    )


def _empty(panels: Sequence[_Kind], width: int) -> list[_Kind]:
    return [if_empty(panel, _NONE).span(width) for panel in panels]


def _all(name: str) -> str:
    return f"max(scoring_quality_{name}{{{_ALL}}})"


def _figures(limits: Quality) -> list[Number]:
    evidence = f"max(scoring_quality_evidence{{{CHOSEN}}})"
    newest = f"max(scoring_quality_newest_label_timestamp_seconds{{{CHOSEN}}}) > 0"
    promised = f"{_all('wrong_ratio')} / max(scoring_quality_limit_ratio{{{CHOSEN}}})"
    many = ((None, GOOD), (limits.evidence / 4, DOUBTFUL), (limits.evidence, BAD))
    old = ((None, GOOD), (limits.labels_missing_seconds, BAD))
    return [
        number(
            "Wrong",
            "percentunit",
            "Share of automatic decisions that are wrong.",
            now(_all("wrong_ratio")),
        ),
        number(
            "Of what is promised",
            "percentunit",
            "This share, as a share of the promised one (SCORING_QUALITY_LIMIT).",
            now(promised),
        ),
        number(
            "Evidence",
            "none",
            "That the promise is broken: 20 comes by chance in at most 5 of 100 cases.",
            now(evidence),
            many,
        ),
        number(
            "Audited labels",
            "short",
            "Labels of automatic decisions that an audit drew.",
            now(_all("audited_labels")),
        ),
        number(
            "Newest label",
            "s",
            "How long ago the newest label came.",
            now(f"time() - ({newest})"),
            old,
        ),
        number(
            "Cost",
            "none",
            "Cost of wrong automatic decisions, for each automatic decision.",
            now(_all("cost")),
        ),
    ]


def _wrong() -> Graph:
    description = (
        "Share of automatic decisions that are wrong, with its 95 % interval, and the promised "
        "one. Look at the evidence: an interval that is looked at daily is wrong now and then."
    )
    queries = (
        over_time(_all("wrong_ratio"), "wrong"),
        over_time(_all("wrong_low_ratio"), "from"),
        over_time(_all("wrong_high_ratio"), "to"),
        over_time(f"max(scoring_quality_limit_ratio{{{CHOSEN}}})", "promised at most"),
    )
    return graph("Wrong decisions", "percentunit", description, *queries)


def _evidence(limits: Quality) -> Graph:
    description = (
        "Evidence that the live version breaks the promise. It may be looked at after each label."
    )
    query = over_time(f"max by (version) (scoring_quality_evidence{{{CHOSEN}}})", "{{version}}")
    panel = graph("Evidence by version", "none", description, query)
    return limited(panel, limits.evidence)


def _ranking() -> Graph:
    description = "Area under the ROC curve of the scores, of all and by version."
    one = f'max by (value) (scoring_quality_auc{{by="version",{CHOSEN}}})'
    queries = (over_time(_all("auc"), "all"), over_time(one, "{{value}}"))
    return graph("AUC", "none", description, *queries).max(1)


def _calibration() -> Graph:
    description = (
        "How far scores are from shares (the expected calibration error), and their log loss."
    )
    queries = (
        over_time(_all("calibration_error"), "ECE"),
        over_time(_all("log_loss"), "log loss"),
    )
    return graph("Calibration", "none", description, *queries)


def _table(by: str) -> Table:
    description = f"The same figures by {by}; days are those of the decisions, by UTC."
    queries = [
        cells(f'max by (value) (scoring_quality_{name}{{by="{by}",{CHOSEN}}})') for name in _COLUMNS
    ]
    letters = map(chr, range(ord("A"), ord("A") + len(_COLUMNS)))
    heads = {letter: head for letter, (head, _) in zip(letters, _COLUMNS.values(), strict=True)}
    title = f"Quality by {by}"
    panel = grid(title, "none", description, queries, {"value": by.capitalize(), **heads})
    for head, unit in _COLUMNS.values():
        panel = column(panel, head, unit=unit)
    return ordered(panel, by.capitalize(), descending=by == "day")
