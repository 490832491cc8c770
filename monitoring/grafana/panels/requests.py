"""Requests to POST /reg: rate, errors, duration; who sends them, and where their time goes."""

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, DOUBTFUL, GOOD, Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN, REG, quantile, rate
from monitoring.grafana.panels.style import coloured, limited, stacked
from monitoring.slo import Objective

_REQUESTS = "scoring_http_requests_total"
# Each told apart at a glance; those that come together have colours far from each other.
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
    """Rate, errors, duration; below them their details."""
    return [_by_status(), _errors(), _latency(objective), _by_caller(), _elsewhere(), _stages()]


def _by_status() -> Graph:
    words = "POST /reg. 429 is too much at once, other 4xx the caller's mistake, 5xx the service's."
    asked = over_time(f"sum by (status) ({rate(_REQUESTS, REG)})", "{{status}}")
    panel = stacked(graph("Requests by status", "reqps", words, asked))
    return coloured(panel, _STATUSES)


def _errors() -> Graph:
    def share(digit: int) -> str:
        bad = rate(_REQUESTS, f'{REG},status=~"{digit}.."')
        return f"(sum({bad}) or vector(0)) / sum({rate(_REQUESTS, REG)})"

    words = "The share of POST /reg answered with 4xx and with 5xx."
    asked = [over_time(share(digit), f"{digit}xx") for digit in (4, 5)]
    panel = graph("Errors", "percentunit", words, *asked)
    return coloured(panel, {"/^4/": DOUBTFUL, "/^5/": BAD})


def _latency(objective: Objective) -> Graph:
    words = (
        "From the request's head being read to its reply being ready, POST /reg. The red line is "
        "what the objective allows."
    )
    asked = [
        over_time(quantile(q, "scoring_http_request_duration_seconds", REG), f"p{q * 100:g}")
        for q in (0.5, 0.95, 0.99)
    ]
    return limited(graph("Latency", "s", words, *asked), objective.latency_seconds)


def _by_caller() -> Graph:
    words = "POST /reg by the name of the key; none: without a key, or with a wrong one."
    by_key = f"sum by (key) ({rate(_REQUESTS, REG)})"
    asked = over_time(f'label_replace({by_key}, "key", "none", "key", "")', "{{key}}")
    return stacked(graph("Requests by caller", "reqps", words, asked))


def _elsewhere() -> Graph:
    words = "Probes, metrics, the documentation, and what does not exist (unmatched)."
    other = rate(_REQUESTS, f'route!="/reg",{CHOSEN}')
    asked = over_time(f"sum by (route) ({other})", "{{route}}")
    return graph("Other addresses", "reqps", words, asked)


def _stages() -> Graph:
    words = (
        "Mean time of a scored request in each stage. A growing wait is a queue for the "
        "predictor: look at Saturation."
    )
    spent = f"sum by (stage) ({rate('scoring_stage_seconds_total')})"
    scored = f"scalar(sum({rate('scoring_scored_requests_total')}))"
    asked = over_time(f"{spent} / {scored}", "{{stage}}")
    return stacked(graph("Where a request's time goes", "s", words, asked))
