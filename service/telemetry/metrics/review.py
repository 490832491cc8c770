"""Decisions that wait for reviewers; the web processes read them from the queue beside the log."""

from prometheus_client import CollectorRegistry, Gauge


class ReviewMetrics:
    """Created once in the master of the web processes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        waiting = Gauge(
            "scoring_review_waiting",
            "Decisions that wait for reviewers, by how many answers they have: 0, or 1 of 2.",
            ("answers",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._waiting = {answers: waiting.labels(answers) for answers in ("0", "1")}
        self._oldest = Gauge(
            "scoring_review_oldest_seconds",
            "Age of the oldest decision that waits for its first answer; 0 without one.",
            multiprocess_mode="livemax",
            registry=registry,
        )

    def publish(self, waiting: int, again: int, oldest: float) -> None:
        """Set how many wait, for a first and for a second answer, and the age of the oldest."""
        self._waiting["0"].set(waiting)
        self._waiting["1"].set(again)
        self._oldest.set(max(0.0, oldest))
