"""Drift: rows by the bins of the live model's reference, and what that reference is."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from model.scorer import Scorer

# The share of a bin that the live model's reference does not have; an accuracy that is not known.
_NONE: Final = -1.0
_OF_BINS: Final = ("variable", "bin")


class DriftMetrics:
    """The series; `ModelDrift` fills them for one scorer."""

    def __init__(
        self, registry: CollectorRegistry, prefix: str = "scoring", of_model: tuple[str, ...] = ()
    ) -> None:
        """`of_model` are the labels in front, of series that several models have."""

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            name, labels = f"{prefix}_{name}", (*of_model, *labels)
            return Gauge(name, text, labels, multiprocess_mode="livemax", registry=registry)

        self.rows = Counter(
            f"{prefix}_drift_rows",
            "Rows scored, by the bins of the reference.",
            (*of_model, *_OF_BINS),
            registry=registry,
        )
        self.correct = Counter(
            f"{prefix}_expected_correct_rows",
            "Rows whose answer is expected to be right, by calibrated scores: the sum of "
            f"max(p, 1 - p) of the rows of {prefix}_drift_rows_total if there are two classes.",
            (*of_model, *_OF_BINS),
            registry=registry,
        )
        self.accuracy = gauge(
            "held_out_accuracy_ratio",
            "The share of held-out rows whose likelier reading was right, as the live model's "
            "manifest says; -1: it is not known.",
        )
        self.reference = gauge(
            "drift_reference_ratio",
            "The share of each bin among the rows that the live model was measured on; -1: a "
            "former model's bin.",
            *_OF_BINS,
        )
        self.importance = gauge(
            "drift_importance_ratio",
            "Each feature's share of the model's importance; 0 for the score itself.",
            "variable",
        )


class ModelDrift:
    """Writes what a scorer's drift counter notes; `counter` is given the scored rows."""

    def __init__(self, metrics: DriftMetrics, scorer: Scorer, *of_model: str) -> None:
        """`of_model` are the values of the labels in front."""
        self._metrics = metrics
        self._of_model = of_model
        self._accuracy = scorer.held_out_accuracy
        self.counter = scorer.drift_counter()
        self._rows = {
            (variable.name, name): metrics.rows.labels(*of_model, variable.name, name)
            for variable in self.counter.reference
            for name in variable.bins
        }
        self._correct = {
            (variable.name, name): metrics.correct.labels(*of_model, variable.name, name)
            for variable in self.counter.reference
            if variable.is_segment
            for name in variable.bins
        }

    def activate(self) -> None:
        """Show the reference: the model is live."""
        self._set(self._metrics.accuracy, _NONE if self._accuracy is None else self._accuracy)
        for variable in self.counter.reference:
            self._set(self._metrics.importance, variable.importance, variable.name)
            for name, share in zip(variable.bins, variable.shares, strict=True):
                self._set(self._metrics.reference, share, variable.name, name)

    def retire(self) -> None:
        """Set the shares to -1: series can't be removed, and no share of rows is below 0."""
        for variable in self.counter.reference:
            self._set(self._metrics.importance, 0, variable.name)
            for name in variable.bins:
                self._set(self._metrics.reference, _NONE, variable.name, name)

    def publish(self) -> None:
        """Write what was noted since the last call."""
        for bin_of, count in self.counter.take().items():
            self._rows[bin_of].inc(count)
        for bin_of, correct in self.counter.take_correct().items():
            self._correct[bin_of].inc(correct)

    def _set(self, gauge: Gauge, value: float, *labels: str) -> None:
        labels = (*self._of_model, *labels)
        (gauge.labels(*labels) if labels else gauge).set(value)
