"""The objectives: remaining error budgets and burn rates."""

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    Panel,
    cells,
    graph,
    grid,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.style import column, limited, ordered
from monitoring.slo import Objective, Slo


def panels(slo: Slo) -> list[Panel]:
    """Four numbers; below them burn rate and budget over time, and the firing alerts."""
    objective = slo.objective
    soon = f"{objective.latency_seconds * 1000:g} ms"
    return [
        _left("availability", f"may fail in {objective.window}", objective),
        _left("latency", f"may take longer than {soon} in {objective.window}", objective),
        _lately("availability", "Answered without failure", "not answered with 5xx", objective),
        _lately("latency", f"Ready in {soon}", "without those answered with 5xx", objective),
        _burn(slo),
        _budgets(),
        _alerts(),
    ]


def _left(name: str, may: str, objective: Objective) -> Number:
    allowed = 1 - getattr(objective, name)
    return (
        number(
            f"{name.capitalize()} budget left, {objective.window}",
            "percentunit",
            f"The unused share of the {allowed:.2%} of requests that {may}. Below 0 the objective "
            "is missed. Requests answered with 4xx do not count.",
            now(f'scoring:error_budget_left:ratio30d{{slo="{name}"}}'),
            ((None, BAD), (0.0, DOUBTFUL), (0.25, GOOD)),
        )
        .span(6)
        .decimals(1)
    )


def _lately(name: str, title: str, which: str, objective: Objective) -> Number:
    wanted = getattr(objective, name)
    return (
        number(
            f"{title}, last hour",
            "percentunit",
            f"The share of POST /reg, {which}. The objective is {wanted:.2%}.",
            now(f"1 - scoring:{name}_errors:ratio_rate1h"),
            ((None, BAD), (wanted, GOOD)),
        )
        .span(6)
        .decimals(2)
    )


def _burn(slo: Slo) -> Graph:
    page = min(burn.factor for burn in slo.burn if burn.severity == "page")
    spent = [
        over_time(
            f"scoring:{name}_errors:ratio_rate{window} / {1 - getattr(slo.objective, name):.6g}",
            f"{name}, {window}",
        )
        for name in ("availability", "latency")
        for window in ("5m", "1h")
    ]
    description = (
        f"The speed at which the error budget is used: at 1 it lasts {slo.objective.window}. From "
        f"{page:g} on an alert pages, if a short and a long window agree."
    )
    panel = limited(graph("Burn rate", "suffix:×", description, *spent), page)
    return panel.axis_soft_max(page).height(7)


def _budgets() -> Graph:
    description = "The two budgets above over time. A step down is an incident."
    left = over_time("scoring:error_budget_left:ratio30d", "{{slo}}")
    return graph("Error budget left", "percentunit", description, left).height(7).max(1)


def _alerts() -> Table:
    description = "Firing alerts of all instances. The runbook has a section for each."
    firing = 'count by (severity, alertname, instance) (ALERTS{alertstate="firing"})'
    # The right side counts only if the left side is empty.
    query = cells(f'{firing} or on () label_replace(vector(0), "alertname", "none", "", "")')
    columns = {"severity": "severity", "alertname": "alert", "instance": "instance"}
    table = ordered(grid("Alerts", "none", description, [query], columns), "severity").height(7)
    column(table, "severity", width=80)
    return column(table, "alert", width=190)
