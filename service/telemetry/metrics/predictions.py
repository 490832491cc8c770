"""Prediction metrics: scores, decisions and warnings; drift by `DriftMetrics`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from model.scorer import Decisions, Request, Row, Score, Scorer, Table
from service.telemetry.metrics.drift import DriftMetrics, ModelDrift
from service.telemetry.metrics.histogram import BulkHistogram

BOUNDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_OTHER: Final = "other"
# The series that three kinds of warnings had before, and their label; for one release.
_FORMER: Final = {
    "unseen-category": ("scoring_unseen_categories", "feature"),
    "lookalike-letters": ("scoring_lookalike_readings", "field"),
    "normalised": ("scoring_normalised_values", "field"),
}


class PredictionMetrics:
    """The series; `ModelPredictions` fills them for one scorer."""

    def __init__(
        self, registry: CollectorRegistry, decisions: Callable[[Scorer], Decisions | None]
    ) -> None:
        """`decisions` gives what decides by the scores of a scorer, if anything does."""

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self.positive = BulkHistogram(
            "scoring_positive",
            "Scores: the probability that the network's reading is right.",
            buckets=BOUNDS,
            registry=registry,
        )
        self.decisions = counter(
            "scoring_decisions",
            "Rows by their decision, as in the details.",
            "decision",
            "camera_class",
        )
        self.decides_by = decisions
        self.thresholds_in_force = Gauge(
            "scoring_decision_threshold_ratio",
            "The score up to which the decision is the camera, and from which on the network.",
            ("decision",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.warnings = counter(
            "scoring_warnings",
            "Rows with a warning, by its kind and the field or feature that it is about; those "
            "that a guard refused are among them.",
            "kind",
            "field",
        )
        self.former_warnings = {
            kind: counter(name, f"Former name of scoring_warnings_total of the kind {kind}.", label)
            for kind, (name, label) in _FORMER.items()
        }
        self.drift = DriftMetrics(registry)


class ModelPredictions:
    """Counts the inputs and the scores of one scorer."""

    def __init__(self, metrics: PredictionMetrics, scorer: Scorer) -> None:
        self._metrics = metrics
        self._groups_of, self._group_of = scorer.groups_of, scorer.group_of
        self._groups = frozenset(scorer.groups)
        self._decides = metrics.decides_by(scorer)
        self._decisions = {
            (decision, group): metrics.decisions.labels(decision, group)
            for decision in (self._decides.names if self._decides else ())
            for group in (*sorted(self._groups), _OTHER)
        }
        self._warnings: dict[str, list[Counter]] = {}
        for warning in scorer.warning_names:
            self._bind(warning)
        self._drift = ModelDrift(metrics.drift, scorer)
        self._noted = self._drift.counter

    def activate(self) -> None:
        """Show the reference of drift and the thresholds: the model is live."""
        self._drift.activate()
        for decision, threshold in (self._decides.limits if self._decides else {}).items():
            self._metrics.thresholds_in_force.labels(decision).set(threshold)

    def retire(self) -> None:
        """Hide the reference of drift: the model is live no longer."""
        self._drift.retire()

    def publish(self) -> None:
        """Write what was noted for drift."""
        self._drift.publish()

    def _scored(self, groups: Iterable[str], positives: list[float]) -> None:
        """Count scores and decisions; `groups` are those of the rows."""
        self._metrics.positive.observe_many(positives)
        if self._decides is None:
            return
        known, decide = self._groups, self._decides.decide
        decided: dict[tuple[str, str], int] = {}
        for name, positive in zip(groups, positives, strict=True):
            labels = decide(positive), name if name in known else _OTHER
            decided[labels] = decided.get(labels, 0) + 1
        for labels, count in decided.items():
            self._decisions[labels].inc(count)

    def rows(self, rows: Sequence[Row], scores: Sequence[Score]) -> None:
        """Count scores and decisions, and note rows for drift."""
        positives = [score.positive for score in scores]
        self._scored(self._groups_of(rows), positives)
        self._noted.add_rows(rows, positives)

    def table(self, requests: Sequence[Request], table: Table, scores: Sequence[Score]) -> None:
        """The same for requests that were scored as a table."""
        positives = [score.positive for score in scores]
        self._scored(map(self._group_of, requests), positives)
        self._noted.add_table(table, positives)

    def warned(self, rows: Mapping[str, int]) -> None:
        """Count rows by their warnings."""
        for warning, count in rows.items():
            for counter in self._warnings.get(warning) or self._bind(warning):
                counter.inc(count)

    def _bind(self, warning: str) -> list[Counter]:
        kind, _, field = warning.partition(":")
        counters = [self._metrics.warnings.labels(kind, field)]
        if kind in self._metrics.former_warnings:
            counters.append(self._metrics.former_warnings[kind].labels(field))
        self._warnings[warning] = counters
        return counters
