"""The dashboard *Load test*: target and achieved rate, latency, failures, saturation."""

from typing import Final

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import saturation
from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    NEUTRAL,
    Panel,
    graph,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.layout import Section, dashboard
from monitoring.grafana.panels.selectors import REG, WINDOW, quantile, rate
from monitoring.grafana.panels.style import coloured, if_empty, limited
from monitoring.slo import LoadTest, Slo

_NO_TEST: Final = "No load test"
_TARGET: Final = "sum(loadgen_target_requests_per_second)"
_ACHIEVED: Final = "sum(loadgen_achieved_requests_per_second)"
_LATE: Final = "max(loadgen_lateness_seconds)"
_QUANTILES: Final = (0.5, 0.95, 0.99)


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the limits of load tests."""
    figures = [_achieved(slo.load_test), *_latencies(slo.load_test), _failed(slo.load_test)]
    small = [panel.height(6) for panel in (_failures(), _lateness())]
    wide: list[Panel] = [_rates(), _latency(slo.load_test), *small]
    return dashboard(
        "load",
        "Scoring: load test",
        "Target and achieved rate, and the latency that the clients and the service measure.",
        [
            Section("Result so far", [if_empty(panel, _NO_TEST) for panel in (*figures, _late())]),
            Section("Rate and latency", [panel.span(12) for panel in wide]),
            Section("Saturation", saturation.panels(slo.saturation)),
        ],
    )


def _achieved(limits: LoadTest) -> Number:
    description = (
        f"Below {limits.min_rate_ratio:.0%} the generator or the service did not keep up: the "
        "latencies then do not belong to the target rate."
    )
    steps = ((None, BAD), (limits.min_rate_ratio, GOOD))
    query = now(f"{_ACHIEVED} / {_TARGET}")
    return number("Achieved of target", "percentunit", description, query, steps).decimals(1)


def _latencies(limits: LoadTest) -> list[Number]:
    return [
        number(
            f"p{q * 100:g}",
            "s",
            "Latency that the clients measured over the last minute, from the due time of a "
            f"request. The limit is {limit:g} ms.",
            now(_client_quantile(q, "[1m]")),
            ((None, GOOD), (limit / 1000, BAD)),
        )
        for q, limit in zip(_QUANTILES, (limits.p50_ms, limits.p95_ms, limits.p99_ms), strict=True)
    ]


def _client_quantile(q: float, window: str) -> str:
    buckets = f"rate(loadgen_client_latency_seconds_bucket{window})"
    return f"histogram_quantile({q}, sum by (le) ({buckets}))"


def _failed(limits: LoadTest) -> Number:
    description = (
        "The share of unexpected replies, broken connections and timeouts in the last minute. The "
        f"limit is {limits.max_error_ratio:.1%}."
    )
    sent = "sum(rate(loadgen_client_latency_seconds_count[1m]))"
    query = now(f"sum(rate(loadgen_failures_total[1m])) / {sent}")
    steps = ((None, GOOD), (limits.max_error_ratio, BAD))
    return number("Failed", "percentunit", description, query, steps).decimals(2)


def _late() -> Number:
    description = (
        "The delay of the generator behind its schedule, by its slowest worker. Above a few "
        "milliseconds the generator is the bottleneck."
    )
    return number("Lateness", "s", description, now(_LATE))


def _rates() -> Graph:
    description = (
        "The rate of the schedule, the rate of right replies to the generator, and the rate that "
        "the service answered to all callers."
    )
    served = f"sum({rate('scoring_http_requests_total', REG)})"
    queries = [
        over_time(_TARGET, "target"),
        over_time(_ACHIEVED, "achieved"),
        over_time(served, "service, all callers"),
    ]
    panel = graph("Rate", "reqps", description, *queries)
    return coloured(panel, {"target": DOUBTFUL, "achieved": GOOD, "service, all callers": NEUTRAL})


def _latency(limits: LoadTest) -> Graph:
    description = (
        "Clients measure from the due time of a request, the service from reading its head: the "
        "difference is the network and the queue. The red line is the limit of p99."
    )
    seen = [over_time(_client_quantile(q, WINDOW), f"clients p{q * 100:g}") for q in _QUANTILES]
    own = over_time(quantile(0.99, "scoring_http_request_duration_seconds", REG), "service p99")
    return limited(graph("Latency", "s", description, *seen, own), limits.p99_ms / 1000)


def _failures() -> Graph:
    description = "Unexpected replies, broken connections and timeouts."
    query = over_time(f"sum(rate(loadgen_failures_total{WINDOW}))", "failures")
    panel = coloured(graph("Failures", "suffix:failures/s", description, query), {"failures": BAD})
    return if_empty(panel, _NO_TEST)


def _lateness() -> Graph:
    description = "The delay of the generator behind its schedule."
    panel = graph("Generator's lateness", "s", description, over_time(_LATE, "lateness"))
    return if_empty(panel, _NO_TEST)
