"""The parity gate: a version that is to be promoted is tried on what was asked lately."""

from collections.abc import Sequence
from pathlib import Path

from model import ModelRefused
from model.regno import Limits, Parity, Reading, RegnoScorer, compare, golden_readings
from service.settings import Settings
from service.swap.loading import Examination


def limits_of(settings: Settings) -> Limits:
    """What the settings let pass."""
    return Limits(
        flips=settings.parity_max_flips,
        flips_in_class=settings.parity_max_flips_in_class,
        mean_difference=settings.parity_max_difference,
        slowdown=settings.max_slowdown,
    )


class Gate:
    """A registry's check of one promotion: the examination, then the comparison.

    `parity` is what the comparison found, None until then.
    """

    def __init__(
        self, examination: Examination, live: RegnoScorer, recent: Sequence[Reading], limits: Limits
    ) -> None:
        self._examination = examination
        self._live = live
        self._readings = [*golden_readings(), *recent]
        self._limits = limits
        self.parity: Parity | None = None

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused for a model that can't be served, or differs too much."""
        self._examination(model)
        self.parity = compare(self._live, RegnoScorer.load(model), self._readings)
        if breaches := self.parity.breaches(self._limits):
            raise ModelRefused("; ".join(breaches))

    @property
    def remarks(self) -> list[str]:
        """What makes the comparison doubtful."""
        return self.parity.remarks(self._limits) if self.parity else []
