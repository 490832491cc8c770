"""The objectives: what is left of the error budgets, and how fast they are spent."""

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
    """Four figures, and under them the same over time beside the alerts that fire."""
    objective = slo.objective
    soon = f"{objective.latency_seconds * 1000:g} ms"
    return [
        _left("availability", f"may fail in {objective.window}", objective),
        _left("latency", f"may take longer than {soon} in {objective.window}", objective),
        _lately("availability", "Answered without failure", "not answered with 5xx", objective),
        _lately("latency", f"Ready in {soon}", "those answered with 5xx aside", objective),
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
            f"Of the {allowed:.2%} of requests that {may}, the share not used up. Below 0 the "
            "objective is missed. Requests answered with 4xx count on neither side.",
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
    words = (
        "How many times faster than allowed the error budget is being spent: at 1 it lasts its "
        f"{slo.objective.window}. Somebody is called from {page:g} on, when a short and a long "
        "window agree."
    )
    panel = limited(graph("Burn rate", "suffix:×", words, *spent), page)
    return panel.axis_soft_max(page).height(7)


def _budgets() -> Graph:
    words = "The two figures above, over the time shown. A step down is an incident."
    left = over_time("scoring:error_budget_left:ratio30d", "{{slo}}")
    return graph("Error budget left", "percentunit", words, left).height(7).max(1)


def _alerts() -> Table:
    description = "Alerts that fire now, of all instances. The runbook has a heading for each."
    firing = 'count by (severity, alertname, instance) (ALERTS{alertstate="firing"})'
    # What is on the right counts only where there is nothing on the left.
    query = cells(f'{firing} or on () label_replace(vector(0), "alertname", "none", "", "")')
    columns = {"severity": "severity", "alertname": "alert", "instance": "instance"}
    table = ordered(grid("Alerts", "none", description, [query], columns), "severity").height(7)
    column(table, "severity", width=80)
    return column(table, "alert", width=190)
