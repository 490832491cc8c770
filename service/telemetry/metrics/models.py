"""The series of models other than the default one, each with a label `model`.

The default model's series, of scores, decisions and drift among them, are those without the label.
"""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from model import InvalidRequest
from model.scorer import Request, Row, Score, Scorer, Table
from service.telemetry.metrics.drift import DriftMetrics, ModelDrift
from service.telemetry.metrics.histogram import BulkHistogram
from service.telemetry.metrics.predictions import BOUNDS as SCORES
from service.telemetry.metrics.process import Mode
from service.telemetry.metrics.shadow import BOUNDS, RESULTS
from service.telemetry.metrics.uncounted import Uncounted


class CatalogMetrics:
    """The series; `ModelMetrics` fills them for one model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("model", *labels), registry=registry)

        def gauge(name: str, text: str, mode: Mode, *labels: str) -> Gauge:
            return Gauge(name, text, ("model", *labels), multiprocess_mode=mode, registry=registry)

        self.rows = counter("scoring_catalog_rows", "Rows by their result.", "result")
        self.refused = counter(
            "scoring_catalog_rows_refused",
            "Rows that could not be scored, by reason.",
            "reason",
        )
        self.live = gauge(
            "scoring_catalog_live",
            "1 for the version that a worker serves, 0 for those it served before.",
            "livesum",
            *("version", "worker"),
        )
        self.loads = counter("scoring_catalog_loads", "Versions loaded.", "result")
        self.live_refused = gauge(
            "scoring_catalog_live_refused",
            "1 while a worker refuses the registry's live version and serves another one.",
            "livemax",
            "worker",
        )
        self.registry_up = gauge(
            "scoring_catalog_registry_up",
            "1 while a worker can read the registry and it names a live version, else 0.",
            "livemin",
            "worker",
        )
        self.shadow_rows = counter(
            "scoring_catalog_shadow_rows",
            "Live rows that were picked for the shadow version, by their result.",
            "result",
        )
        self.shadow_difference = BulkHistogram(
            "scoring_catalog_shadow_difference",
            "The shadow version's score minus the live one.",
            ("model",),
            buckets=BOUNDS,
            registry=registry,
        )
        self.positive = BulkHistogram(
            "scoring_catalog_positive",
            "Scores: the probability that the answer is right, or yes.",
            ("model",),
            buckets=SCORES,
            registry=registry,
        )
        self.drift = DriftMetrics(registry, "scoring_catalog", ("model",))


class CatalogPredictions(Uncounted):
    """Counts the inputs and the scores of one scorer. All else has no series."""

    def __init__(self, series: CatalogMetrics, scorer: Scorer) -> None:
        self._positive = series.positive.labels(scorer.name)
        self._drift = ModelDrift(series.drift, scorer, scorer.name)
        self.activate, self.retire = self._drift.activate, self._drift.retire
        self.publish = self._drift.publish

    def rows(self, rows: Sequence[Row], scores: Sequence[Score]) -> None:
        """Count scores, and note rows for drift."""
        positives = [score.positive for score in scores]
        self._positive.observe_many(positives)
        self._drift.counter.add_rows(rows, positives)

    def table(self, _requests: Sequence[Request], table: Table, scores: Sequence[Score]) -> None:
        """The same for requests that were scored as a table."""
        positives = [score.positive for score in scores]
        self._positive.observe_many(positives)
        self._drift.counter.add_table(table, positives)


class ModelMetrics(Uncounted):
    """What one model counts: rows, versions, its shadow. All else has no series."""

    def __init__(self, series: CatalogMetrics, model: str) -> None:
        self._model = model
        self._rows = {
            result: series.rows.labels(model, result) for result in ("scored", "refused", "failed")
        }
        self._series = series
        self._shadow_rows = {result: series.shadow_rows.labels(model, result) for result in RESULTS}
        self._difference = series.shadow_difference.labels(model)
        self.scoring = self.rollout = self.shadow = self

    def predictions(self, scorer: Scorer) -> "CatalogPredictions":
        """The counters of a scorer's inputs and scores."""
        return CatalogPredictions(self._series, scorer)

    def scored(self, rows: int) -> None:
        """Count rows that got scores."""
        self._rows["scored"].inc(rows)

    def failed(self, rows: int) -> None:
        """Count rows that should have got scores."""
        self._rows["failed"].inc(rows)

    def refused(self, fault: InvalidRequest) -> None:
        """Count a row that can't be scored, and why."""
        self._rows["refused"].inc()
        self._series.refused.labels(self._model, fault.kind).inc()

    def loaded(self, result: str) -> None:
        """Count a version as `loaded` or `refused`."""
        self._series.loads.labels(self._model, result).inc()

    def live(self, version: str, worker: str, *, serves: bool) -> None:
        """Show that a worker serves a version, or no longer does."""
        self._series.live.labels(self._model, version, worker).set(int(serves))

    def registry_up(self, worker: str, *, up: bool) -> None:
        """Show whether a worker can follow the registry."""
        self._series.registry_up.labels(self._model, worker).set(int(up))

    def live_refused(self, worker: str, *, refused: bool) -> None:
        """Show whether a worker refuses what is live by name."""
        self._series.live_refused.labels(self._model, worker).set(int(refused))

    def compared(
        self, groups: Iterable[str], live: Sequence[float], shadow: Sequence[float]
    ) -> None:
        """Count rows by the scores of both versions."""
        del groups
        self._shadow_rows["scored"].inc(len(live))
        self._difference.observe_many([new - old for old, new in zip(live, shadow, strict=True)])

    def lost(self, result: str, rows: int) -> None:
        """Count rows that were not compared: `dropped` or `failed`."""
        self._shadow_rows[result].inc(rows)
