"""Requests to POST /reg: rate, errors, duration, callers, stages."""

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, DOUBTFUL, GOOD, Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN, REG, quantile, rate
from monitoring.grafana.panels.style import coloured, limited, stacked
from monitoring.slo import Objective

_REQUESTS = "scoring_http_requests_total"
# Statuses that occur together have distant colours.
_STATUSES = {
    "200": GOOD,
    "400": "yellow",
    "401": "purple",
    "405": "super-light-yellow",
    "408": "super-light-blue",
    "413": "dark-blue",
    "415": "dark-purple",
    "429": DOUBTFUL,
    "500": BAD,
    "503": "#e05fae",
}


def panels(objective: Objective) -> list[Panel]:
    """Rate, errors and duration; below them callers, other paths, stages."""
    return [_by_status(), _errors(), _latency(objective), _by_caller(), _elsewhere(), _stages()]


def _by_status() -> Graph:
    description = (
        "POST /reg. 429 is overload, other 4xx are errors of callers, 5xx errors of the service."
    )
    query = over_time(f"sum by (status) ({rate(_REQUESTS, REG)})", "{{status}}")
    panel = stacked(graph("Requests by status", "reqps", description, query))
    return coloured(panel, _STATUSES)


def _errors() -> Graph:
    def share(digit: int) -> str:
        bad = rate(_REQUESTS, f'{REG},status=~"{digit}.."')
        return f"(sum({bad}) or vector(0)) / sum({rate(_REQUESTS, REG)})"

    description = "The share of POST /reg answered with 4xx and with 5xx."
    queries = [over_time(share(digit), f"{digit}xx") for digit in (4, 5)]
    panel = graph("Errors", "percentunit", description, *queries)
    return coloured(panel, {"/^4/": DOUBTFUL, "/^5/": BAD})


def _latency(objective: Objective) -> Graph:
    description = (
        "POST /reg: time from reading the request's head until the reply is ready. The red line is "
        "the objective."
    )
    queries = [
        over_time(quantile(q, "scoring_http_request_duration_seconds", REG), f"p{q * 100:g}")
        for q in (0.5, 0.95, 0.99)
    ]
    return limited(graph("Latency", "s", description, *queries), objective.latency_seconds)


def _by_caller() -> Graph:
    description = "POST /reg by the name of the key; none: a missing or wrong key."
    by_key = f"sum by (key) ({rate(_REQUESTS, REG)})"
    query = over_time(f'label_replace({by_key}, "key", "none", "key", "")', "{{key}}")
    return stacked(graph("Requests by caller", "reqps", description, query))


def _elsewhere() -> Graph:
    description = "Probes, metrics, documentation, and paths that do not exist (unmatched)."
    other = rate(_REQUESTS, f'route!="/reg",{CHOSEN}')
    query = over_time(f"sum by (route) ({other})", "{{route}}")
    return graph("Other paths", "reqps", description, query)


def _stages() -> Graph:
    description = (
        "Mean time of a scored request in each stage. A growing wait is a queue before predict: "
        "see Saturation."
    )
    spent = f"sum by (stage) ({rate('scoring_stage_seconds_total')})"
    scored = f"scalar(sum({rate('scoring_scored_requests_total')}))"
    query = over_time(f"{spent} / {scored}", "{{stage}}")
    return stacked(graph("Time of a request by stage", "s", description, query))
