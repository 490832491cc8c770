"""Decisions that are kept, and the spool that they are written to."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class DecisionMetrics:
    """Counts entries of the decision log in the worker that makes them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        entries = Counter(
            "scoring_decision_log_entries",
            "Decisions and events that were written to the spool, or dropped.",
            ("result",),
            registry=registry,
        )
        self._entries = {result: entries.labels(result) for result in ("written", "dropped")}
        self._spooled = Gauge(
            "scoring_decision_log_spool_bytes",
            "Bytes of the spool that the sink has not shipped yet.",
            multiprocess_mode="livemax",
            registry=registry,
        )

    def written(self, entries: int) -> None:
        """Count entries that were written."""
        self._entries["written"].inc(entries)

    def dropped(self, entries: int) -> None:
        """Count entries that found no room."""
        self._entries["dropped"].inc(entries)

    def spooled(self, size: int) -> None:
        """State the bytes of the spool."""
        self._spooled.set(size)
