"""What a worker does in addition to requests: error reports, keys, log lines, and its failures."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

# What a worker does each second, and at its end.
PARTS: Final = (
    *("heartbeat", "master", "connections", "keys", "requests", "stages", "process", "files"),
    *(
        "drift",
        "capture",
        "log",
        "reports",
        "traces",
        "webhooks",
        "jobs",
        "metrics",
        "models",
        "gauges",
        "workers",
    ),
)


class BackgroundMetrics:
    """Counts the outcomes of background work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        reports = Counter(
            "scoring_error_reports",
            "Reports of errors: accepted by Sentry, or dropped here or on the way.",
            ("result",),
            registry=registry,
        )
        self._reports = {result: reports.labels(result) for result in ("sent", "dropped")}
        reloads = Counter(
            "scoring_keys_reloads",
            "Checks of the keys file that loaded new keys, or refused an unusable file.",
            ("result",),
            registry=registry,
        )
        self._reloads = {result: reloads.labels(result) for result in ("loaded", "refused")}
        self._dropped_lines = Counter(
            "scoring_log_lines_dropped",
            "Log lines that were dropped because their reader was stopped or too slow.",
            registry=registry,
        )
        self._failures = Counter(
            "scoring_background_failures",
            "Failures in a worker's background work, by its part; the worker continues.",
            ("part",),
            registry=registry,
        )
        for part in PARTS:
            self._failures.labels(part)

    def report(self, result: str) -> None:
        """Count one report of an error, `sent` or `dropped`."""
        self._reports[result].inc()

    def keys_reload(self, result: str) -> None:
        """Count a check of the keys file by its result, `loaded` or `refused`."""
        self._reloads[result].inc()

    def failure(self, part: str) -> None:
        """Count a failure in a part of the background work."""
        self._failures.labels(part).inc()

    def dropped_lines(self, lines: int) -> None:
        """Count lines of the log that were dropped."""
        self._dropped_lines.inc(lines)
