"""The dashboard *Workers*: are all there, do they stay, what does each of them use."""

from typing import Final

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import saturation
from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    Panel,
    Steps,
    cells,
    graph,
    grid,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.layout import Section, dashboard
from monitoring.grafana.panels.selectors import CHOSEN, happened, rate
from monitoring.grafana.panels.style import coloured, column, counted, limited, ordered, stepped
from monitoring.slo import Saturation, Slo

_NONE_IS_GOOD: Final[Steps] = ((None, GOOD), (1, BAD))
_NAME: Final = "{{instance}} {{worker}}"
_CPU: Final = "scoring_process_cpu_seconds_total"
_MEMORY: Final = f"sum by (instance, worker) (scoring_process_resident_memory_bytes{{{CHOSEN}}})"


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the bounds of saturation as its limits."""
    at_a_glance: list[Panel] = [*_figures(), _each().span(12)]
    wide: list[Panel] = [_processor(slo.saturation), _memory()]
    return dashboard(
        "workers",
        "Scoring: workers",
        "The worker processes: how many, how often they start, what each uses; the scrape.",
        [
            Section("Now", [panel.height(6) for panel in at_a_glance]),
            Section("Over time", [_there(), _starts(), _scrape(), *(p.span(12) for p in wide)]),
            Section("Saturation", saturation.panels(slo.saturation)),
        ],
    )


def _figures() -> list[Panel]:
    configured, there = (
        f"sum({name}{{{CHOSEN}}})" for name in ("scoring_workers_configured", "scoring_worker_up")
    )
    return [
        number(
            "Instances down",
            "short",
            "Targets that Prometheus could not scrape just now: all panels lack their figures.",
            now('count(up{job="scoring"} == 0) or vector(0)'),
            _NONE_IS_GOOD,
        ),
        number(
            "Workers missing",
            "short",
            "Configured less running. One is missing for a second or two whenever it is "
            "replaced; for longer, it does not start: see the log.",
            now(f"{configured} - {there}"),
            _NONE_IS_GOOD,
        ),
        number(
            "Starts, last hour",
            "short",
            "Workers started: the first ones, after a crash, by a reload. Without a reload or a "
            "restart each is a crash.",
            now(f"sum(increase(scoring_worker_starts_total{{{CHOSEN}}}[1h]))"),
            ((None, GOOD), (1, DOUBTFUL)),
        ).decimals(0),
    ]


def _of_those_there(cpu: str) -> str:
    """A counter outlives its worker: no figure for one that is gone."""
    up = f"scoring_worker_up{{{CHOSEN}}}"
    return f"sum by (instance, worker) ({cpu}) and on (instance, worker) {up}"


def _each() -> Table:
    words = "A worker is named by its slot, which its successor takes over."
    served = f"sum by (instance, worker, version) (scoring_model_live{{{CHOSEN}}}) == 1"
    used = _of_those_there(f"rate({_CPU}{{{CHOSEN}}}[1m])")
    heads = {"version": "model", "B": "processor", "C": "memory"}
    columns = {"instance": "instance", "worker": "worker", **heads}
    asked = [cells(expr) for expr in (served, used, _MEMORY)]
    table = ordered(grid("Each worker", "none", words, asked, columns), "worker")
    column(table, "instance", unit="string", width=180)
    column(table, "worker", unit="string", width=70)
    column(table, "model", unit="string", width=180)
    column(table, "processor", unit="percentunit", decimals=0)
    return column(table, "memory", unit="bytes", decimals=0)


def _there() -> Graph:
    words = "Running beside configured; a gap between the lines is a worker missing."
    asked = [
        over_time(f"sum({name}{{{CHOSEN}}})", legend)
        for name, legend in (
            ("scoring_workers_configured", "configured"),
            ("scoring_worker_up", "running"),
        )
    ]
    panel = stepped(graph("Workers", "short", words, *asked))
    return coloured(panel, {"configured": DOUBTFUL, "running": GOOD})


def _starts() -> Graph:
    words = "Starts by instance. Those that fit no reload and no rollout are crashes."
    asked = over_time(happened("scoring_worker_starts_total", "instance"), "{{instance}}")
    return counted(graph("Worker starts", "short", words, asked))


def _scrape() -> Graph:
    words = (
        "How long an instance takes to answer Prometheus. It grows with the number of series and "
        "with load."
    )
    asked = over_time(f'scrape_duration_seconds{{job="scoring",{CHOSEN}}}', "{{instance}}")
    return graph("Time to scrape", "s", words, asked)


def _processor(limits: Saturation) -> Graph:
    words = (
        "Of one core: a worker can't use more. One above the others gets more than its share of "
        "connections."
    )
    asked = over_time(_of_those_there(rate(_CPU)), _NAME)
    return limited(graph("Processor by worker", "percentunit", words, asked), limits.cpu_ratio)


def _memory() -> Graph:
    words = "Resident memory. Level after the first minutes; a slope that stays is a leak."
    return graph("Memory by worker", "bytes", words, over_time(_MEMORY, _NAME))
