"""All series of this server, in a registry of their own."""

from collections.abc import Iterable
from typing import Any, Final

from flask import Flask
from prometheus_client import CollectorRegistry, Counter

from model import catalog
from model.regno import Thresholds
from service.scoring.thresholds import DEFAULT
from service.telemetry.metrics import page
from service.telemetry.metrics.http import HttpMetrics
from service.telemetry.metrics.models import CatalogMetrics, ModelMetrics, NoPredictions
from service.telemetry.metrics.predictions import Behaviour, BehaviourMetrics
from service.telemetry.metrics.process import ProcessMetrics
from service.telemetry.metrics.rollout import RolloutMetrics
from service.telemetry.metrics.scoring import ScoringMetrics
from service.telemetry.metrics.shadow import ShadowMetrics
from service.telemetry.metrics.silence import (
    SilentHttp,
    SilentScoring,
    SilentShadow,
)

# What a worker does each second, and at its end.
PARTS: Final = (
    *("heartbeat", "master", "connections", "keys", "requests", "stages", "process", "files"),
    *("drift", "log", "reports", "traces"),
)


class Metrics:
    """Made once in the master, so that each worker's files begin with every series at 0."""

    def __init__(
        self,
        key_names: Iterable[str] = (),
        thresholds: Thresholds = DEFAULT,
        *,
        kept: bool = True,
    ) -> None:
        """`key_names` are those of the callers; `thresholds` make the decisions that are counted.

        Unless `kept`, requests and rows go uncounted.
        """
        self._kept = kept
        self.registry = CollectorRegistry()
        self.http = (HttpMetrics if kept else SilentHttp)(self.registry, key_names)
        self.scoring = (ScoringMetrics if kept else SilentScoring)(self.registry)
        self.rollout = RolloutMetrics(self.registry, self.scoring)
        self.shadow = (ShadowMetrics if kept else SilentShadow)(self.registry)
        self.process = ProcessMetrics(self.registry)
        self._catalog = CatalogMetrics(self.registry)
        self._behaviours = BehaviourMetrics(self.registry, thresholds)
        reports = Counter(
            "scoring_error_reports",
            "Reports of errors: taken by Sentry, or dropped here or on the way.",
            ("result",),
            registry=self.registry,
        )
        self._error_reports = {result: reports.labels(result) for result in ("sent", "dropped")}
        reloads = Counter(
            "scoring_keys_reloads",
            "Looks at the keys file that took new keys from it, or found it of no use.",
            ("result",),
            registry=self.registry,
        )
        self._keys_reloads = {result: reloads.labels(result) for result in ("loaded", "refused")}
        self._dropped_lines = Counter(
            "scoring_log_lines_dropped",
            "Lines of the log that were left out since nobody read them.",
            registry=self.registry,
        )
        self._failures = Counter(
            "scoring_background_failures",
            "Failures in a worker's work beside requests, by its part; the worker goes on.",
            ("part",),
            registry=self.registry,
        )
        for part in PARTS:
            self._failures.labels(part)

    def of(self, model: str) -> "Metrics | ModelMetrics":
        """What counts for a model, by its name: these series if it is the default one."""
        return self if model == catalog.DEFAULT else ModelMetrics(self._catalog, model)

    def behaviour(self, scorer: Any) -> Behaviour | NoPredictions:
        """The counters of what a scorer of the default model sees and says."""
        self.shadow.know(scorer.camera_classes)
        return Behaviour(self._behaviours, scorer) if self._kept else NoPredictions()

    def count_report(self, result: str) -> None:
        """Count one report of an error, `sent` or `dropped`."""
        self._error_reports[result].inc()

    def count_keys_reload(self, result: str) -> None:
        """Count a look at the keys file that found it `loaded` anew, or `refused`."""
        self._keys_reloads[result].inc()

    def count_failure(self, part: str) -> None:
        """Count a failure in a part of the work beside requests."""
        self._failures.labels(part).inc()

    def count_dropped_lines(self, lines: int) -> None:
        """Count lines of the log that were left out."""
        self._dropped_lines.inc(lines)

    def serve(self, app: Flask, token: str) -> None:
        """Answer GET /metrics to who bears the token, to everybody if it is empty."""
        page.serve(app, self.registry, token)
