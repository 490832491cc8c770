"""A histogram of times in steps of 0.1 ms, rounded up: exact enough for milliseconds."""

import math
from collections.abc import Iterable
from itertools import accumulate

from msgspec import Struct, field

_STEPS_PER_MS = 10


class Histogram(Struct):
    """Counts by the upper end of their step, in tenths of a ms."""

    steps: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a value so many times; a negative one counts as zero."""
        # Less the rounding error: 2 ms belongs to the step that ends at 2 ms.
        step = max(0, math.ceil(seconds * 1000 * _STEPS_PER_MS - 1e-6))
        self.steps[step] = self.steps.get(step, 0) + times

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another histogram."""
        for step, count in other.steps.items():
            self.steps[step] = self.steps.get(step, 0) + count

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.steps.values())

    def percentile_ms(self, share: float) -> float | None:
        """The least time that this share of the values does not exceed; None without values."""
        ordered = sorted(self.steps)
        rank = math.ceil(share * self.count)
        running = accumulate(self.steps[step] for step in ordered)
        reached = (step for step, so_far in zip(ordered, running, strict=True) if so_far >= rank)
        step = next(reached, None)
        return None if step is None else step / _STEPS_PER_MS

    def seconds(self) -> float:
        """The sum of all values."""
        return sum(step * count for step, count in self.steps.items()) / 1000 / _STEPS_PER_MS

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """The number of values within each bound, in seconds."""
        edges = [round(bound * 1000 * _STEPS_PER_MS) for bound in bounds]
        return [sum(n for step, n in self.steps.items() if step <= edge) for edge in edges]


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """The sum of histograms."""
    together = Histogram()
    for histogram in histograms:
        together.merge(histogram)
    return together
