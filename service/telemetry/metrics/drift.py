"""Drift: rows by the bins of the live model's reference, and what that reference is."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from model.scorer import Scorer

# The share of a bin that the live model's reference does not have; an accuracy that is not known.
_NONE: Final = -1.0
_OF_BINS: Final = ("variable", "bin")


class DriftMetrics:
    """The series; `ModelDrift` fills them for one scorer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, multiprocess_mode="livemax", registry=registry)

        self.rows = Counter(
            "scoring_drift_rows",
            "Rows scored, by the bins of the reference.",
            _OF_BINS,
            registry=registry,
        )
        self.correct = Counter(
            "scoring_expected_correct_rows",
            "Rows whose likelier reading is expected to be right, by calibrated scores: the sum of "
            "max(p, 1 - p) of the rows of scoring_drift_rows_total.",
            _OF_BINS,
            registry=registry,
        )
        self.accuracy = gauge(
            "scoring_held_out_accuracy_ratio",
            "The share of held-out rows whose likelier reading was right, as the live model's "
            "manifest says; -1: it is not known.",
        )
        self.reference = gauge(
            "scoring_drift_reference_ratio",
            "The share of each bin among the rows that the live model was measured on; -1: a "
            "former model's bin.",
            *_OF_BINS,
        )
        self.importance = gauge(
            "scoring_drift_importance_ratio",
            "Each feature's share of the model's importance; 0 for the score itself.",
            "variable",
        )


class ModelDrift:
    """Writes what a scorer's drift counter notes; `counter` is given the scored rows."""

    def __init__(self, metrics: DriftMetrics, scorer: Scorer) -> None:
        self._metrics = metrics
        self._accuracy = scorer.held_out_accuracy
        self.counter = scorer.drift_counter()
        self._rows = {
            (variable.name, name): metrics.rows.labels(variable.name, name)
            for variable in self.counter.reference
            for name in variable.bins
        }
        self._correct = {
            (variable.name, name): metrics.correct.labels(variable.name, name)
            for variable in self.counter.reference
            if variable.is_segment
            for name in variable.bins
        }

    def activate(self) -> None:
        """Show the reference: the model is live."""
        self._metrics.accuracy.set(_NONE if self._accuracy is None else self._accuracy)
        for variable in self.counter.reference:
            self._metrics.importance.labels(variable.name).set(variable.importance)
            for name, share in zip(variable.bins, variable.shares, strict=True):
                self._metrics.reference.labels(variable.name, name).set(share)

    def retire(self) -> None:
        """Set the shares to -1: series can't be removed, and no share of rows is below 0."""
        for variable in self.counter.reference:
            self._metrics.importance.labels(variable.name).set(0)
            for name in variable.bins:
                self._metrics.reference.labels(variable.name, name).set(_NONE)

    def publish(self) -> None:
        """Write what was noted since the last call."""
        for bin_of, count in self.counter.take().items():
            self._rows[bin_of].inc(count)
        for bin_of, correct in self.counter.take_correct().items():
            self._correct[bin_of].inc(correct)
