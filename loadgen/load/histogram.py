"""Times in steps of 0.1 ms, rounded up: exact where a service of milliseconds is judged."""

import math
from collections.abc import Iterable
from itertools import accumulate

from msgspec import Struct, field

_STEPS_PER_MS = 10


class Histogram(Struct):
    """How many values lie in each step; `steps` maps its upper end, in tenths of a ms, to it."""

    steps: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a value so many times; below zero is zero."""
        # Less what the arithmetic adds: 2 ms is in the step that ends at 2 ms.
        step = max(0, math.ceil(seconds * 1000 * _STEPS_PER_MS - 1e-6))
        self.steps[step] = self.steps.get(step, 0) + times

    def merge(self, other: "Histogram") -> None:
        """Count what another one has counted, too."""
        for step, count in other.steps.items():
            self.steps[step] = self.steps.get(step, 0) + count

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.steps.values())

    def percentile_ms(self, share: float) -> float | None:
        """The least time that at least this share of the values do not exceed; None of none."""
        ordered = sorted(self.steps)
        rank = math.ceil(share * self.count)
        running = accumulate(self.steps[step] for step in ordered)
        reached = (step for step, so_far in zip(ordered, running, strict=True) if so_far >= rank)
        step = next(reached, None)
        return None if step is None else step / _STEPS_PER_MS

    def seconds(self) -> float:
        """All values together."""
        return sum(step * count for step, count in self.steps.items()) / 1000 / _STEPS_PER_MS

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """How many values are within each of the bounds, in seconds."""
        edges = [round(bound * 1000 * _STEPS_PER_MS) for bound in bounds]
        return [sum(n for step, n in self.steps.items() if step <= edge) for edge in edges]


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One that has counted what all of them have."""
    together = Histogram()
    for histogram in histograms:
        together.merge(histogram)
    return together
