"""The metrics, their storage across workers, and the page that Prometheus reads.

prometheus-flask-exporter serves the page and merges the workers' files. Its own
per-request hooks stay off: `service.door` times each request with two bound updates
instead of some eighty Python calls.
"""

import hmac
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from flask import Flask, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_flask_exporter import PrometheusMetrics

from service.errors import Refused
from service.record import Record

METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
# From half a millisecond; 0.05 is the latency target and must stay a bound.
BUCKETS: Final = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01),
    *(0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)


# The attributes of a record that hold the seconds of a stage, less their suffix.
STAGES: Final = ("decode", "features", "wait", "predict", "encode")


class Metrics:
    """The service's own series, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "scoring_http_requests",
            "Requests answered.",
            ("route", "method", "status", "key"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "scoring_http_request_duration_seconds",
            "From the request's head being read to its reply being ready.",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._rows = Counter("scoring_rows", "Rows scored.", registry=self.registry)
        stages = Counter(
            "scoring_stage_seconds",
            "Time that scored requests spent in each stage; batched ones share a predict.",
            ("stage",),
            registry=self.registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._batch_rows = Histogram(
            "scoring_batch_rows",
            "Rows predicted in one call.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self._unseen = Counter(
            "scoring_unseen_categories",
            "Values of a categorical feature that the model never saw.",
            ("feature",),
            registry=self.registry,
        )
        # Bound children, since .labels() locks and builds strings; routes, methods, statuses
        # and key names are few, so this stays small.
        self._bound: dict[tuple[str, str, str, str], tuple[Counter, Histogram]] = {}

    def observe(self, record: Record, method: str, status: str, seconds: float) -> None:
        """Count one answered request; `status` is the three digits."""
        named = method if method in METHODS else "other"
        labels = (record.route, named, status, record.key_name)
        bound = self._bound.get(labels)
        if bound is None:
            bound = self._bound[labels] = (
                self._requests.labels(*labels),
                self._duration.labels(record.route),
            )
        bound[0].inc()
        bound[1].observe(seconds)
        if record.rows:
            self._rows.inc(record.rows)
            for stage, counter in self._stages.items():
                counter.inc(getattr(record, f"{stage}_seconds"))

    def count_batch(self, rows: int) -> None:
        """Count one call of predict."""
        self._batch_rows.observe(rows)

    def count_unseen(self, rows: Mapping[str, int]) -> None:
        """Count the rows in which a feature has an unseen value."""
        for feature, count in rows.items():
            self._unseen.labels(feature).inc(count)

    def serve(self, app: Flask, token: str) -> None:
        """Answer GET /metrics to who bears the token; without a token there is no such page."""
        if token:
            exporter = PrometheusMetrics.for_app_factory(
                path="/metrics",
                export_defaults=False,
                registry=self.registry,
                metrics_decorator=_bearer(token),
            )
            exporter.init_app(app)


def _bearer(token: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    expected = f"Bearer {token}".encode()

    def guard(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: object, **kwargs: object) -> Any:
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                challenge = {"WWW-Authenticate": "Bearer"}
                raise Refused(401, "the bearer token is missing or wrong", challenge)
            return view(*args, **kwargs)

        return guarded

    return guard
