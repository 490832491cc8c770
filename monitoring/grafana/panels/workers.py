"""The dashboard *Workers*: number, starts, processor and memory of each worker."""

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
    """The dashboard, with the limits of saturation."""
    summary: list[Panel] = [*_figures(), _each().span(12)]
    wide: list[Panel] = [_processor(slo.saturation), _memory()]
    return dashboard(
        "workers",
        "Scoring: workers",
        "The worker processes: number, starts, processor and memory of each; time to scrape.",
        [
            Section("Now", [panel.height(6) for panel in summary]),
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
            "Targets that Prometheus can't scrape now: no panel has their values.",
            now('count(up{job="scoring"} == 0) or vector(0)'),
            _NONE_IS_GOOD,
        ),
        number(
            "Workers missing",
            "short",
            "Configured minus running workers. A worker that is replaced is missing for a second "
            "or two; if it is missing longer, it does not start: see the log.",
            now(f"{configured} - {there}"),
            _NONE_IS_GOOD,
        ),
        number(
            "Starts, last hour",
            "short",
            "Starts of workers: at the start of the server, after a crash, by a reload. Without a "
            "reload or restart each start is a crash.",
            now(f"sum(increase(scoring_worker_starts_total{{{CHOSEN}}}[1h]))"),
            ((None, GOOD), (1, DOUBTFUL)),
        ).decimals(0),
    ]


def _of_running(cpu: str) -> str:
    """The CPU of running workers: the counter of a worker outlives it."""
    up = f"scoring_worker_up{{{CHOSEN}}}"
    return f"sum by (instance, worker) ({cpu}) and on (instance, worker) {up}"


def _each() -> Table:
    description = "Workers are named by their slot, which a successor takes over."
    served = f"sum by (instance, worker, version) (scoring_model_live{{{CHOSEN}}}) == 1"
    used = _of_running(f"rate({_CPU}{{{CHOSEN}}}[1m])")
    heads = {"version": "model", "B": "processor", "C": "memory"}
    columns = {"instance": "instance", "worker": "worker", **heads}
    queries = [cells(expr) for expr in (served, used, _MEMORY)]
    table = ordered(grid("Each worker", "none", description, queries, columns), "worker")
    column(table, "instance", unit="string", width=180)
    column(table, "worker", unit="string", width=70)
    column(table, "model", unit="string", width=180)
    column(table, "processor", unit="percentunit", decimals=0)
    return column(table, "memory", unit="bytes", decimals=0)


def _there() -> Graph:
    description = "Running and configured workers; a gap between the lines is a missing worker."
    queries = [
        over_time(f"sum({name}{{{CHOSEN}}})", legend)
        for name, legend in (
            ("scoring_workers_configured", "configured"),
            ("scoring_worker_up", "running"),
        )
    ]
    panel = stepped(graph("Workers", "short", description, *queries))
    return coloured(panel, {"configured": DOUBTFUL, "running": GOOD})


def _starts() -> Graph:
    description = "Starts by instance. A start without a reload or deployment is a crash."
    query = over_time(happened("scoring_worker_starts_total", "instance"), "{{instance}}")
    return counted(graph("Worker starts", "short", description, query))


def _scrape() -> Graph:
    description = (
        "Time that an instance needs to answer a scrape. It grows with the number of series and "
        "with load."
    )
    query = over_time(f'scrape_duration_seconds{{job="scoring",{CHOSEN}}}', "{{instance}}")
    return graph("Time to scrape", "s", description, query)


def _processor(limits: Saturation) -> Graph:
    description = (
        "Share of one core, which is the most a worker can use. A worker above the others has more "
        "than its share of connections."
    )
    query = over_time(_of_running(rate(_CPU)), _NAME)
    return limited(
        graph("Processor by worker", "percentunit", description, query), limits.cpu_ratio
    )


def _memory() -> Graph:
    description = "Resident memory. Constant after the first minutes; a lasting slope is a leak."
    return graph("Memory by worker", "bytes", description, over_time(_MEMORY, _NAME))
