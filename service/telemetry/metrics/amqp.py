"""Requests over AMQP."""

from collections.abc import Iterable
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.telemetry.metrics.histogram import BulkHistogram
from service.telemetry.metrics.http import BUCKETS
from service.telemetry.record import Record

_STATUSES: Final = ("200", "400", "413", "429", "500", "503")
UNANSWERED: Final = ("expired", "no reply_to", "requester gone")
_WAITED: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


class AmqpMetrics:
    """Counts and durations by routing key."""

    def __init__(self, registry: CollectorRegistry, models: Iterable[str]) -> None:
        """`models` are the names of those that are served."""
        self._requests = Counter(
            "scoring_amqp_requests",
            "Requests over AMQP that were answered; key is the publisher's user.",
            ("route", "status", "key"),
            registry=registry,
        )
        self._duration = BulkHistogram(
            "scoring_amqp_request_duration_seconds",
            "From the delivery of a request to the publication of its reply.",
            ("route",),
            buckets=BUCKETS,
            registry=registry,
        )
        waited = BulkHistogram(
            "scoring_amqp_request_wait_seconds",
            "From the time in a request's x-request-start to its delivery.",
            ("route",),
            buckets=_WAITED,
            registry=registry,
        )
        unanswered = Counter(
            "scoring_amqp_requests_unanswered",
            "Requests over AMQP whose reply was not sent or not delivered.",
            ("reason",),
            registry=registry,
        )
        self._unanswered = {reason: unanswered.labels(reason) for reason in UNANSWERED}
        self._consuming = Gauge(
            "scoring_amqp_consumers",
            "Processes that consume requests from the broker.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        names = tuple(models)
        self._waited = {name: waited.labels(f"score.{name}") for name in names}
        for name, status in product(names, _STATUSES):
            self._requests.labels(f"score.{name}", status, "")
        self._requests.labels("unmatched", "404", "")

    def consuming(self, *, yes: bool) -> None:
        """Whether this process consumes."""
        self._consuming.set(yes)

    def waited(self, model: str, seconds: float) -> None:
        """A request of a model was delivered, so long after its start; 0 if that is unknown."""
        if seconds:
            self._waited[model].observe_many([seconds])

    def unanswered(self, reason: str) -> None:
        """A request had no reply, for one of the reasons of UNANSWERED."""
        self._unanswered[reason].inc()

    def answered(self, records: Iterable[Record]) -> None:
        """Count requests that were answered."""
        durations: dict[str, list[float]] = {}
        for record in records:
            self._requests.labels(record.route, str(record.status), record.key_name).inc()
            durations.setdefault(record.route, []).append(record.seconds)
        for route, seconds in durations.items():
            self._duration.labels(route).observe_many(seconds)
