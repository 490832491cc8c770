"""Requests by route, method and status."""

from collections import Counter as Counted
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.overload.admission import SHED_REASONS
from service.telemetry.metrics.histogram import BulkHistogram
from service.telemetry.record import Record

Labels: TypeAlias = tuple[str, str, int, str]
# Route, method and status.
Series: TypeAlias = tuple[str, str, str]

# From half a millisecond. The latency targets of monitoring/slo.toml must stay bounds: a
# share between two bounds is a guess.
BUCKETS: Final = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01),
    *(0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
_PROBES: Final = ("/healthz", "/readyz", "/metrics")
# Of the routes that every model has.
_SCORED: Final = ("200", "400", "401", "408", "413", "415", "429", "500", "503")
_EXPLAINED: Final = ("200", "400", "401", "413", "429", "500")


class HttpMetrics:
    """Counts and durations. Routes are templates, so that no address makes a series of its own."""

    def __init__(
        self, registry: CollectorRegistry, key_names: Iterable[str], series: Iterable[Series]
    ) -> None:
        """`key_names` are the callers', `series` those that begin at 0."""
        self._requests = Counter(
            "scoring_http_requests",
            "Requests answered.",
            ("route", "method", "status", "key"),
            registry=registry,
        )
        self._duration = BulkHistogram(
            "scoring_http_request_duration_seconds",
            "From reading the request's head to the finished reply.",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "scoring_http_requests_in_flight",
            "Requests at the public address that are being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        shed = Counter(
            "scoring_requests_shed",
            "Scoring requests rejected with 429 under load.",
            ("reason",),
            registry=registry,
        )
        self._shed = {reason: shed.labels(reason) for reason in SHED_REASONS}
        self._refused: Counted[str] = Counted()
        # Bound children, since .labels() locks and builds strings; routes, methods, statuses
        # and key names are few, so this stays small.
        self._bound: dict[Labels, tuple[Counter, BulkHistogram]] = {}
        names = tuple(key_names)
        for route, method, status in series:
            with_key = route not in (*_PROBES, "unmatched") and status not in ("401", "405")
            for key in names if with_key else ("",):
                self._bind((route, method, int(status), key))

    def observe(self, records: Iterable[Record]) -> None:
        """Count answered requests: many at once cost little more than one."""
        answered: dict[Labels, list[float]] = {}
        for record in records:
            labels = record.route, record.method, record.status, record.key_name
            durations = answered.get(labels)
            if durations is None:
                durations = answered[labels] = []
            durations.append(record.seconds)
        for labels, durations in answered.items():
            requests, duration = self._bound.get(labels) or self._bind(labels)
            requests.inc(len(durations))
            duration.observe_many(durations)
        if self._refused:
            self._write_refused()

    def shed(self, reason: str) -> None:
        """Note a request that was rejected under load."""
        self._refused[reason] += 1

    def publish(self, in_flight: int) -> None:
        """Write the noted counts, and how many requests are in flight now."""
        self._write_refused()
        self._in_flight.set(in_flight)

    def _write_refused(self) -> None:
        refused, self._refused = self._refused, Counted()
        for reason, count in refused.items():
            self._shed[reason].inc(count)

    def _bind(self, labels: Labels) -> tuple[Counter, BulkHistogram]:
        named = tuple(map(str, labels))
        bound = self._requests.labels(*named), self._duration.labels(*named[:3])
        self._bound[labels] = bound
        return bound


def expected_series(models: Iterable[str]) -> Iterator[Series]:
    """The series of the scoring processes that begin at 0; `models` are the route of each model.

    Otherwise Prometheus would not see the first failure of a kind as an increase.
    """
    for model in models:
        yield from product((model,), ("POST",), _SCORED)
        yield from product((f"{model}/explain",), ("POST",), _EXPLAINED)
        yield model, "GET", "405"
    yield from common_series()


def common_series() -> Iterator[Series]:
    """Those of the addresses that every kind of server has."""
    yield from product(("/", *_PROBES), ("GET",), ("200",))
    yield "/metrics", "GET", "401"
    yield "unmatched", "GET", "404"
