"""Attempts at jobs: what came of them and how long they took, counted by the job workers."""

from collections.abc import Iterable
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

# From a single row to a table of some million rows.
_SECONDS: Final = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)


class AttemptMetrics:
    """Created once in the parent of a job worker's processes."""

    def __init__(
        self, registry: CollectorRegistry, kinds: Iterable[str], states: Iterable[str]
    ) -> None:
        """`kinds` and `states` are those of jobs; their series begin at 0."""
        self._attempts = Counter(
            "scoring_job_attempts",
            "Attempts at jobs, by the job's state after it; queued: it is tried again.",
            ("kind", "state"),
            registry=registry,
        )
        self._seconds = Histogram(
            "scoring_job_attempt_seconds",
            "Duration of attempts at jobs.",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )
        kinds = tuple(kinds)
        for kind, state in product(kinds, states):
            self._attempts.labels(kind, state)
        for kind in kinds:
            self._seconds.labels(kind)

    def count(self, kind: str, state: str, seconds: float) -> None:
        """Count an attempt at a job of a kind, which left it in a state."""
        self._attempts.labels(kind, state).inc()
        self._seconds.labels(kind).observe(seconds)
