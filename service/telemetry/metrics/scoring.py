"""Rows, the stages they go through, and batches."""

from collections.abc import Collection
from itertools import product
from operator import attrgetter
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from model import KINDS, InvalidRequest
from service.telemetry.metrics.histogram import BulkHistogram
from service.telemetry.record import STAGES, Record

_RESULTS: Final = ("scored", "refused", "failed")
_times_of = attrgetter(*(f"{stage}_seconds" for stage in STAGES))
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ScoringMetrics:
    """Rows by their result, the time of each stage, and the sizes of batches."""

    def __init__(self, registry: CollectorRegistry, fields: Collection[str]) -> None:
        """`fields` are those of a request."""
        self._fields = frozenset(fields)
        rows = Counter("scoring_rows", "Rows by their result.", ("result",), registry=registry)
        self._rows = {result: rows.labels(result) for result in _RESULTS}
        self._refused = Counter(
            "scoring_rows_refused",
            "Rows that could not be scored, by reason and field.",
            ("reason", "field"),
            registry=registry,
        )
        for kind, field in product(KINDS, ("", *fields)):
            self._refused.labels(kind, field)
        self._requests = Counter(
            "scoring_scored_requests", "Requests that got scores.", registry=registry
        )
        stages = Counter(
            "scoring_stage_seconds",
            "Time that scored requests spent in each stage; batched ones share a predict.",
            ("stage",),
            registry=registry,
        )
        self._stages = [stages.labels(stage) for stage in STAGES]
        self._times: list[tuple[float, ...]] = []
        self._sizes: list[int] = []
        self._batch_rows = BulkHistogram(
            "scoring_batch_rows", "Rows predicted in one call.", buckets=_BATCHES, registry=registry
        )

    def scored(self, rows: int) -> None:
        """Count rows that got scores."""
        self._rows["scored"].inc(rows)

    def failed(self, rows: int) -> None:
        """Count rows that should have got scores."""
        self._rows["failed"].inc(rows)

    def refused(self, fault: InvalidRequest) -> None:
        """Count a row that can't be scored, and why."""
        self._rows["refused"].inc()
        # A field outside the contract is free text of the client.
        self._refused.labels(fault.kind, fault.field if fault.field in self._fields else "").inc()

    def batch(self, rows: int) -> None:
        """Note the rows of one call of predict."""
        self._sizes.append(rows)

    def stages(self, record: Record) -> None:
        """Note the times of a scored request."""
        self._times.append(_times_of(record))

    def publish(self) -> None:
        """Write the noted times and sizes of batches; unlike counts, they may be a second late."""
        times, self._times = self._times, []
        sizes, self._sizes = self._sizes, []
        self._batch_rows.observe_many(sizes)
        self._requests.inc(len(times))
        for counter, seconds in zip(self._stages, zip(*times, strict=True), strict=False):
            counter.inc(sum(seconds))
