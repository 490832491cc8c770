"""The dashboard *Load test*: what was asked of the service, and how it bore it."""

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
from monitoring.grafana.panels.style import coloured, limited, or_say
from monitoring.slo import LoadTest, Slo

_NO_TEST: Final = "No load test"
_TARGET: Final = "sum(loadgen_target_requests_per_second)"
_ACHIEVED: Final = "sum(loadgen_achieved_requests_per_second)"
_LATE: Final = "max(loadgen_lateness_seconds)"
_QUANTILES: Final = (0.5, 0.95, 0.99)


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the verdict of a load test as its limits."""
    figures = [_achieved(slo.load_test), *_latencies(slo.load_test), _failed(slo.load_test)]
    small = [panel.height(6) for panel in (_failures(), _lateness())]
    wide: list[Panel] = [_rates(), _latency(slo.load_test), *small]
    return dashboard(
        "load",
        "Scoring: load test",
        "Target and achieved rate beside the latency that the clients and the service measure.",
        [
            Section("Verdict so far", [or_say(panel, _NO_TEST) for panel in (*figures, _late())]),
            Section("Rate and latency", [panel.span(12) for panel in wide]),
            Section("Saturation", saturation.panels(slo.saturation)),
        ],
    )


def _achieved(limits: LoadTest) -> Number:
    words = (
        f"Below {limits.min_rate_ratio:.0%} the generator or the service could not keep up: "
        "latencies then say nothing of the target rate."
    )
    steps = ((None, BAD), (limits.min_rate_ratio, GOOD))
    asked = now(f"{_ACHIEVED} / {_TARGET}")
    return number("Achieved of target", "percentunit", words, asked, steps).decimals(1)


def _latencies(limits: LoadTest) -> list[Number]:
    return [
        number(
            f"p{q * 100:g}",
            "s",
            "As the clients measured it over the last minute, from the moment a request was due. "
            f"The limit is {limit:g} ms.",
            now(_client_quantile(q, "[1m]")),
            ((None, GOOD), (limit / 1000, BAD)),
        )
        for q, limit in zip(_QUANTILES, (limits.p50_ms, limits.p95_ms, limits.p99_ms), strict=True)
    ]


def _client_quantile(q: float, window: str) -> str:
    buckets = f"rate(loadgen_client_latency_seconds_bucket{window})"
    return f"histogram_quantile({q}, sum by (le) ({buckets}))"


def _failed(limits: LoadTest) -> Number:
    words = (
        "Replies other than expected, broken connections and timeouts, of all requests in the "
        f"last minute. The limit is {limits.max_error_ratio:.1%}."
    )
    sent = "sum(rate(loadgen_client_latency_seconds_count[1m]))"
    asked = now(f"sum(rate(loadgen_failures_total[1m])) / {sent}")
    steps = ((None, GOOD), (limits.max_error_ratio, BAD))
    return number("Failed", "percentunit", words, asked, steps).decimals(2)


def _late() -> Number:
    words = (
        "How far the generator is behind its own timetable, by the worst of its workers. Above "
        "a few milliseconds it is the generator that is slow."
    )
    return number("Lateness", "s", words, now(_LATE))


def _rates() -> Graph:
    words = (
        "What the generator was told to send, what it sent, and what the service answered, to "
        "others too."
    )
    served = f"sum({rate('scoring_http_requests_total', REG)})"
    asked = [
        over_time(_TARGET, "target"),
        over_time(_ACHIEVED, "achieved"),
        over_time(served, "service, all callers"),
    ]
    panel = graph("Rate", "reqps", words, *asked)
    return coloured(panel, {"target": DOUBTFUL, "achieved": GOOD, "service, all callers": NEUTRAL})


def _latency(limits: LoadTest) -> Graph:
    words = (
        "Clients count from the moment a request was due, the service from the head it read: "
        "between the two lie the network and the queue. The red line is p99's limit."
    )
    seen = [over_time(_client_quantile(q, WINDOW), f"clients p{q * 100:g}") for q in _QUANTILES]
    own = over_time(quantile(0.99, "scoring_http_request_duration_seconds", REG), "service p99")
    return limited(graph("Latency", "s", words, *seen, own), limits.p99_ms / 1000)


def _failures() -> Graph:
    words = "Replies other than expected, broken connections, timeouts."
    asked = over_time(f"sum(rate(loadgen_failures_total{WINDOW}))", "failures")
    panel = coloured(graph("Failures", "suffix:failures/s", words, asked), {"failures": BAD})
    return or_say(panel, _NO_TEST)


def _lateness() -> Graph:
    words = "How far the generator is behind its own timetable."
    panel = graph("Generator's lateness", "s", words, over_time(_LATE, "lateness"))
    return or_say(panel, _NO_TEST)
