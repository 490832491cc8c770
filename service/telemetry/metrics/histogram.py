"""A histogram that takes many values in one go."""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Histogram


class BulkHistogram(Histogram):
    """Writes many observations at once: the overhead of one write exceeds that of counting."""

    def observe_many(self, values: Sequence[float]) -> None:
        """Observe each of the values."""
        bounds = self._upper_bounds
        counts: dict[int, int] = {}  # a Counter takes longer to make than to fill
        for value in values:
            place = bisect_left(bounds, value)
            counts[place] = counts.get(place, 0) + 1
        for place, count in counts.items():
            self._buckets[place].inc(count)
        self._sum.inc(sum(values))
