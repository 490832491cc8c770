"""The parity gate: a version to be promoted is compared with the one that it replaces."""

from collections.abc import Callable, Sequence
from pathlib import Path

from model.errors import GateRefused
from model.regno.evaluation.parity import Limits, Parity, compare
from model.regno.golden import readings as golden_readings
from model.regno.request import Reading
from model.regno.scorer import RegnoScorer


class Gate:
    """A registry's check of one promotion: its usual check, then the comparison.

    `parity` is the result of the comparison, None before it.
    """

    def __init__(
        self,
        check: Callable[[Path], object],
        live: RegnoScorer,
        readings: Sequence[Reading],
        limits: Limits,
    ) -> None:
        """The two are compared on `readings` and on the golden rows."""
        self._check = check
        self._live = live
        self._readings = [*golden_readings(), *readings]
        self._limits = limits
        self.parity: Parity | None = None

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused for a model that can't be served, or differs too much."""
        self._check(model)
        self.parity = compare(self._live, RegnoScorer.load(model), self._readings)
        if breaches := self.parity.breaches(self._limits):
            raise GateRefused(breaches)

    @property
    def remarks(self) -> list[str]:
        """What makes the comparison doubtful."""
        return self.parity.remarks(self._limits) if self.parity else []
