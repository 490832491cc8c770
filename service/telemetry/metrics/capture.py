"""Rows that are captured for training, and the files that they are written to."""

from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge


class CaptureMetrics:
    """Counts rows and files of the capture."""

    def __init__(self, registry: CollectorRegistry) -> None:
        rows = Counter(
            "scoring_capture_rows",
            "Rows that were picked for the capture: written to a file, or dropped.",
            ("result",),
            registry=registry,
        )
        self._rows = {result: rows.labels(result) for result in ("written", "dropped")}
        self._bytes = Counter(
            "scoring_capture_written_bytes", "Bytes of the files of the capture.", registry=registry
        )
        self._failures = Counter(
            "scoring_capture_failures",
            "Files of the capture that could not be written.",
            registry=registry,
        )
        self._last_write = Gauge(
            "scoring_capture_last_write_timestamp_seconds",
            "When a running worker last wrote a file of the capture, 0 if none did.",
            multiprocess_mode="livemax",
            registry=registry,
        )

    def written(self, rows: int, size: int) -> None:
        """Count the rows and bytes of a file."""
        self._rows["written"].inc(rows)
        self._bytes.inc(size)
        self._last_write.set(time())

    def dropped(self, rows: int) -> None:
        """Count rows that found no room."""
        self._rows["dropped"].inc(rows)

    def failed(self, rows: int) -> None:
        """Count a file that could not be written, and its rows as dropped."""
        self._failures.inc()
        self.dropped(rows)
