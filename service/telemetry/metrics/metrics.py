"""All series of this server, in a registry of their own."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter

from model import catalog
from model.scorer import Decisions, Model, Scorer
from service.telemetry.metrics.capture import CaptureMetrics
from service.telemetry.metrics.http import HttpMetrics
from service.telemetry.metrics.models import CatalogMetrics, ModelMetrics
from service.telemetry.metrics.predictions import ModelPredictions, PredictionMetrics
from service.telemetry.metrics.process import ProcessMetrics
from service.telemetry.metrics.rollout import RolloutMetrics
from service.telemetry.metrics.scoring import ScoringMetrics
from service.telemetry.metrics.shadow import ShadowMetrics
from service.telemetry.metrics.uncounted import uncounted

# What a worker does each second, and at its end.
PARTS: Final = (
    *("heartbeat", "master", "connections", "keys", "requests", "stages", "process", "files"),
    *("drift", "capture", "log", "reports", "traces"),
)


class Metrics:
    """Created once in the master, so that each worker's files begin with every series at 0."""

    def __init__(
        self,
        key_names: Iterable[str],
        model: Model,
        decisions: Callable[[Any], Decisions | None],
        *,
        kept: bool = True,
    ) -> None:
        """`key_names` are the callers', `model` is the default one.

        `decisions` gives what decides by the scores of one of its versions.

        Unless `kept`, requests and rows are not counted: no address serves the metrics.
        """
        self._kept = kept
        self.registry = CollectorRegistry()
        routes = [entry.path.rstrip("/") for entry in catalog.entries().values()]
        self.http = (
            HttpMetrics(self.registry, key_names, routes) if kept else uncounted(HttpMetrics)
        )
        fields = model.request.__struct_fields__
        self.scoring = ScoringMetrics(self.registry, fields) if kept else uncounted(ScoringMetrics)
        self.rollout = RolloutMetrics(self.registry, self.scoring)
        self.shadow = ShadowMetrics(self.registry) if kept else uncounted(ShadowMetrics)
        self.process = ProcessMetrics(self.registry)
        self.capture = CaptureMetrics(self.registry)
        self._catalog = CatalogMetrics(self.registry)
        self._predictions = PredictionMetrics(self.registry, decisions)
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

    def of(self, model: str) -> "Metrics | ModelMetrics":
        """What counts for a model, by its name: these series if it is the default one."""
        return self if model == catalog.DEFAULT else ModelMetrics(self._catalog, model)

    def predictions(self, scorer: Scorer) -> ModelPredictions:
        """The counters of the inputs and scores of a scorer of the default model."""
        self.shadow.know(scorer.groups)
        return (
            ModelPredictions(self._predictions, scorer)
            if self._kept
            else uncounted(ModelPredictions)
        )

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
