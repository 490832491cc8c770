"""How good decisions are, by labels that came later: figures that are replaced as a whole."""

from collections.abc import Iterable, Iterator
from math import isnan
from time import time
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_PREFIX: Final = "scoring_quality_"
_WHAT: Final = ("by", "value")
_FIGURES: Final = {
    "wrong_ratio": "Share of automatic decisions that are wrong, weighted by audit draws.",
    "wrong_low_ratio": "Lower end of its 95 % interval.",
    "wrong_high_ratio": "Upper end of its 95 % interval.",
    "audited_labels": "Audited labels of automatic decisions that it was computed from.",
    "cost": "Cost of wrong automatic decisions, for each automatic decision.",
    "auc": "Area under the ROC curve of the scores, weighted by audit draws.",
    "log_loss": "Log loss of the scores in nats, weighted by audit draws.",
    "calibration_error": "Expected calibration error of the scores, weighted by audit draws.",
}
_FACTS: Final = {
    "limit_ratio": "Share of wrong automatic decisions that is promised not to be exceeded.",
    "newest_label_timestamp_seconds": "When the newest label came, 0 if none ever did.",
    "measured_timestamp_seconds": "When these figures were computed.",
    "measuring_seconds": "How long it took to compute them.",
}


class Figures(Protocol):
    """The figures of a group of decisions."""

    @property
    def errors(self) -> Any:
        """Value, ends of the interval and number of labels, None without any."""

    @property
    def cost(self) -> float:
        """What wrong automatic decisions cost."""

    @property
    def auc(self) -> float:
        """The area under the ROC curve."""

    @property
    def log_loss(self) -> float:
        """The log loss."""

    @property
    def calibration_error(self) -> float:
        """The expected calibration error."""


class QualityMetrics(Collector):
    """The latest figures; what is not measured any more has no series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families: list[GaugeMetricFamily] = []
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The series, for the page of metrics."""
        yield from self._families

    def state(
        self,
        figures: Iterable[tuple[str, str, Figures]],
        evidence: tuple[str, float],
        facts: tuple[float, float, float],
    ) -> None:
        """State figures by what they are of and its value, and the evidence against a version.

        `facts` are the promised rate, the time of the newest label, and the seconds that it took.
        """
        families = {
            name: GaugeMetricFamily(_PREFIX + name, text, labels=_WHAT)
            for name, text in _FIGURES.items()
        }
        for by, value, one in figures:
            for name, number in _numbers(one):
                if not isnan(number):
                    families[name].add_metric((by, value), number)
        limit, newest, seconds = facts
        stated = zip(_FACTS.items(), (limit, newest, time(), seconds), strict=True)
        single = [
            GaugeMetricFamily(_PREFIX + name, text, value=number) for (name, text), number in stated
        ]
        self._families = [*families.values(), _evidence(*evidence), *single]


def _numbers(one: Figures) -> Iterator[tuple[str, float]]:
    if errors := one.errors:
        yield "wrong_ratio", errors.value
        yield "wrong_low_ratio", errors.low
        yield "wrong_high_ratio", errors.high
        yield "audited_labels", errors.labels
    for name in ("cost", "auc", "log_loss", "calibration_error"):
        yield name, getattr(one, name)


def _evidence(version: str, wealth: float) -> GaugeMetricFamily:
    text = (
        "Evidence that the live version's decisions break the promise: 20 in at most 5 of 100 "
        "cases in which they keep it, however often it is looked at."
    )
    family = GaugeMetricFamily(f"{_PREFIX}evidence", text, labels=("version",))
    if version:
        family.add_metric((version,), wealth)
    return family
