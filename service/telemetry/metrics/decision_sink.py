"""What the sink of decisions does: entries taken into the log, and how far each store is."""

from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge

_LAGS = {
    "entries": "Entries of the log that a store does not have yet.",
    "removals": "Forgotten decisions that a store has not removed yet.",
    "seconds": "How long the oldest of both has waited.",
}


class SinkMetrics:
    """Counts in the one process of the sink, from any of its threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._entries = Counter(
            "scoring_decision_sink_entries",
            "Entries that came from the spool into the log.",
            registry=registry,
        )
        self._damaged = Counter(
            "scoring_decision_sink_damaged_bytes",
            "Bytes of the spool that could not be read.",
            registry=registry,
        )
        self._unreadable = Counter(
            "scoring_decision_sink_unreadable_entries",
            "Whole entries of the spool that could not be decrypted.",
            registry=registry,
        )
        self._synced = Gauge(
            "scoring_decision_sink_last_sync_timestamp_seconds",
            "When the spool was last taken into the log.",
            registry=registry,
        )
        self._rows = Counter(
            "scoring_decision_store_rows",
            "Rows that were sent to a store, and rows that were removed from it.",
            ("store", "change"),
            registry=registry,
        )
        self._failures = Counter(
            "scoring_decision_store_failures",
            "Attempts to send something to a store that failed.",
            ("store",),
            registry=registry,
        )
        self._lags = {
            name: Gauge(f"scoring_decision_store_lag_{name}", text, ("store",), registry=registry)
            for name, text in _LAGS.items()
        }

    def taken(self, entries: int, damaged_bytes: int, unreadable: int) -> None:
        """Count what came from the spool."""
        self._entries.inc(entries)
        self._damaged.inc(damaged_bytes)
        self._unreadable.inc(unreadable)

    def synced(self) -> None:
        """State that the log has all that was in the spool."""
        self._synced.set(time())

    def sent(self, store: str, rows: int, removals: int) -> None:
        """Count rows of a store."""
        self._rows.labels(store, "added").inc(rows)
        self._rows.labels(store, "removed").inc(removals)

    def failed(self, store: str) -> None:
        """Count an attempt that failed."""
        self._failures.labels(store).inc()

    def lags(self, store: str, entries: int, removals: int, seconds: float) -> None:
        """State how far a store is behind the log."""
        self._failures.labels(store)
        values = {"entries": entries, "removals": removals, "seconds": seconds}
        for name, value in values.items():
            self._lags[name].labels(store).set(value)
