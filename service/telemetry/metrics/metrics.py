"""All series of this server, in a registry of their own."""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar, cast

from flask import Flask
from prometheus_client import CollectorRegistry, Counter

from model.regno import RegnoScorer, Thresholds
from service.scoring.thresholds import DEFAULT
from service.telemetry.metrics import page
from service.telemetry.metrics.http import HttpMetrics
from service.telemetry.metrics.predictions import Behaviour, BehaviourMetrics
from service.telemetry.metrics.process import ProcessMetrics
from service.telemetry.metrics.rollout import RolloutMetrics
from service.telemetry.metrics.scoring import ScoringMetrics
from service.telemetry.metrics.shadow import ShadowMetrics

Family = TypeVar("Family")

# What a worker does each second, and at its end.
PARTS: Final = (
    *("heartbeat", "master", "connections", "keys", "requests", "stages", "process", "files"),
    *("drift", "log", "reports", "traces"),
)


class _Uncounted:
    """Has every method, and each does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Called once for each name: the next call finds the method on the object."""
        method = self.__dict__[name] = lambda *_, **__: None
        return method


def _uncounted(_family: type[Family]) -> Family:
    """What replaces a family of series where no metrics are kept, at no cost for a request."""
    return cast("Family", _Uncounted())


class Metrics:
    """Created once in the master, so that each worker's files begin with every series at 0."""

    def __init__(
        self,
        key_names: Iterable[str] = (),
        thresholds: Thresholds = DEFAULT,
        *,
        kept: bool = True,
    ) -> None:
        """`key_names` are those of the callers; `thresholds` make the decisions that are counted.

        Unless `kept`, requests and rows are not counted: no address serves the metrics.
        """
        self._kept = kept
        self.registry = CollectorRegistry()
        self.http = HttpMetrics(self.registry, key_names) if kept else _uncounted(HttpMetrics)
        self.scoring = ScoringMetrics(self.registry) if kept else _uncounted(ScoringMetrics)
        self.rollout = RolloutMetrics(self.registry, self.scoring)
        self.shadow = ShadowMetrics(self.registry) if kept else _uncounted(ShadowMetrics)
        self.process = ProcessMetrics(self.registry)
        self._behaviours = BehaviourMetrics(self.registry, thresholds)
        reports = Counter(
            "scoring_error_reports",
            "Reports of errors: accepted by Sentry, or dropped here or on the way.",
            ("result",),
            registry=self.registry,
        )
        self._error_reports = {result: reports.labels(result) for result in ("sent", "dropped")}
        reloads = Counter(
            "scoring_keys_reloads",
            "Checks of the keys file that loaded new keys, or refused an unusable file.",
            ("result",),
            registry=self.registry,
        )
        self._keys_reloads = {result: reloads.labels(result) for result in ("loaded", "refused")}
        self._dropped_lines = Counter(
            "scoring_log_lines_dropped",
            "Lines of the log that were dropped since their reader stood still.",
            registry=self.registry,
        )
        self._failures = Counter(
            "scoring_background_failures",
            "Failures in a worker's background work, by its part; the worker goes on.",
            ("part",),
            registry=self.registry,
        )
        for part in PARTS:
            self._failures.labels(part)

    def behaviour(self, scorer: RegnoScorer) -> Behaviour:
        """The counters of a scorer's inputs and scores."""
        self.shadow.know(scorer.camera_classes)
        return Behaviour(self._behaviours, scorer) if self._kept else _uncounted(Behaviour)

    def count_report(self, result: str) -> None:
        """Count one report of an error, `sent` or `dropped`."""
        self._error_reports[result].inc()

    def count_keys_reload(self, result: str) -> None:
        """Count a check of the keys file by its result, `loaded` or `refused`."""
        self._keys_reloads[result].inc()

    def count_failure(self, part: str) -> None:
        """Count a failure in a part of the background work."""
        self._failures.labels(part).inc()

    def count_dropped_lines(self, lines: int) -> None:
        """Count lines of the log that were dropped."""
        self._dropped_lines.inc(lines)

    def serve(self, app: Flask, token: str) -> None:
        """Serve GET /metrics to clients with the token, to all clients if it is empty."""
        page.serve(app, self.registry, token)
