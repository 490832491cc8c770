"""The dashboard *Decisions*: the log, its spool, the sink, and the stores that it fills."""

from typing import Final

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels.kinds import (
    BAD,
    GOOD,
    Steps,
    graph,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.layout import Section, dashboard
from monitoring.grafana.panels.selectors import WINDOW, rate
from monitoring.grafana.panels.style import coloured, if_empty, limited, stacked
from monitoring.slo import Slo, Stores

_NONE_IS_GOOD: Final[Steps] = ((None, GOOD), (1, BAD))
_NO_LOG: Final = "No decisions are kept (SCORING_DECISIONS)"
_NO_SINK: Final = "No sink is scraped (SCORING_SINK_METRICS_BIND)"


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the limits of alerts."""
    figures = [if_empty(panel, _NO_SINK) for panel in _figures(slo.stores)]
    log = [if_empty(panel, _NO_LOG).span(12) for panel in (_entries(), _spool(slo))]
    sink = [if_empty(panel, _NO_SINK).span(12) for panel in (_taken(), _damaged())]
    made = (_lag(slo.stores), _lacking(), _rows(), _failures())
    stores = [if_empty(panel, _NO_SINK).span(12) for panel in made]
    return dashboard(
        "decisions",
        "Scoring: decisions",
        "The decision log: entries written and lost, the spool, the sink, and the stores.",
        [
            Section("Now", [panel.height(5) for panel in figures]),
            Section("Log and spool", log),
            Section("Sink", sink),
            Section("Stores", stores),
        ],
    )


def _figures(limits: Stores) -> list[Number]:
    lost = 'sum(increase(scoring_decision_log_entries_total{result="dropped"}[1h]))'
    synced = "time() - min(scoring_decision_sink_last_sync_timestamp_seconds)"
    return [
        number(
            "Lost",
            "short",
            "Decisions of the last hour that are in no log.",
            now(lost),
            _NONE_IS_GOOD,
        ),
        number(
            "Last sync",
            "s",
            "How long ago the spool was last taken into the log.",
            now(synced),
            ((None, GOOD), (60, BAD)),
        ),
        number(
            "Greatest lag",
            "s",
            "How long the oldest entry or removal waits that a store lacks.",
            now("max(scoring_decision_store_lag_seconds)"),
            ((None, GOOD), (limits.lag_seconds, BAD)),
        ),
        number(
            "Removals that wait",
            "short",
            "Forgotten decisions that are still in a store.",
            now("max(scoring_decision_store_lag_removals)"),
            _NONE_IS_GOOD,
        ),
    ]


def _entries() -> Graph:
    description = (
        "Decisions and events that workers wrote to the spool, or dropped since it was full or "
        "could not be written."
    )
    counter = f"sum by (result) ({rate('scoring_decision_log_entries_total')})"
    panel = stacked(
        graph(
            "Entries of workers", "suffix:entries/s", description, over_time(counter, "{{result}}")
        )
    )
    return coloured(panel, {"written": GOOD, "dropped": BAD})


def _spool(slo: Slo) -> Graph:
    description = "Bytes of the spool that the sink has not taken into the log yet."
    query = over_time("max by (instance) (scoring_decision_log_spool_bytes)", "{{instance}}")
    return limited(graph("Spool", "bytes", description, query), slo.process.spool_bytes)


def _taken() -> Graph:
    description = "Entries that came from the spool into the log."
    counter = f"sum by (instance) (rate(scoring_decision_sink_entries_total{WINDOW}))"
    return graph(
        "Entries taken into the log",
        "suffix:entries/s",
        description,
        over_time(counter, "{{instance}}"),
    )


def _damaged() -> Graph:
    description = (
        "What the sink could not read of the spool since its start: bytes of damaged frames, and "
        "whole entries that no key decrypts."
    )
    queries = [
        over_time(f"sum(scoring_decision_sink_{kind}_total)", name)
        for kind, name in (("damaged_bytes", "bytes"), ("unreadable_entries", "entries"))
    ]
    return graph("Damage", "short", description, *queries)


def _lag(limits: Stores) -> Graph:
    description = "How long the oldest entry or removal has waited that a store lacks."
    query = over_time("max by (store) (scoring_decision_store_lag_seconds)", "{{store}}")
    return limited(graph("Lag of stores", "s", description, query), limits.lag_seconds)


def _lacking() -> Graph:
    description = (
        "Entries of the log that a store lacks, and forgotten decisions that it still has."
    )
    queries = [
        over_time(f"max by (store) (scoring_decision_store_lag_{kind})", f"{{{{store}}}} {kind}")
        for kind in ("entries", "removals")
    ]
    return graph("What stores lack", "short", description, *queries)


def _rows() -> Graph:
    description = (
        "Rows that were added to stores, and removed since their decisions were forgotten."
    )
    counter = f"sum by (store, change) (rate(scoring_decision_store_rows_total{WINDOW}))"
    return graph(
        "Rows of stores", "suffix:rows/s", description, over_time(counter, "{{store}} {{change}}")
    )


def _failures() -> Graph:
    description = "Attempts to send something to a store that failed. It is sent again."
    counter = f"sum by (store) (rate(scoring_decision_store_failures_total{WINDOW}))"
    return graph("Failures of stores", "ops", description, over_time(counter, "{{store}}"))
