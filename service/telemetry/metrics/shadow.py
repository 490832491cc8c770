"""How the shadow model's scores differ from the live ones."""

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.telemetry.metrics.histogram import BulkHistogram

RESULTS: Final = ("scored", "dropped", "failed")
# Close about zero, where most are; monitoring's panels ask for some of these by name.
BOUNDS: Final = (
    *(-0.5, -0.25, -0.1, -0.05, -0.01, -0.001),
    *(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0),
)
# What a flip is about: above it the network is believed rather than the camera.
HALF: Final = 0.5
DIRECTIONS: Final = ("to_camera", "to_network")
_OTHER: Final = "other"


class ShadowMetrics:
    """Rows picked for the shadow model by their result, and its scores against the live ones."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        rows = counter(
            "scoring_shadow_rows",
            "Live rows that were picked for the shadow model, by their result.",
            "result",
        )
        self._rows = {result: rows.labels(result) for result in RESULTS}
        self._difference = BulkHistogram(
            "scoring_shadow_difference",
            "The shadow model's score minus the live one; above 0 it favours the network.",
            buckets=BOUNDS,
            registry=registry,
        )
        self._compared_of = counter(
            "scoring_shadow_compared_rows", "Rows that both models scored.", "camera_class"
        )
        self._flips_of = counter(
            "scoring_shadow_flips",
            "Rows that the two decide differently at one half, by the shadow model's reading.",
            "camera_class", "direction",
        )  # fmt: skip
        self._waiting = Gauge(
            "scoring_shadow_queue_rows",
            "Rows that wait for the shadow model, in the worker that has the most.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        # Bound children, since .labels() locks and builds strings.
        self._compared: dict[str, Counter] = {}
        self._flips: dict[tuple[str, str], Counter] = {}
        self.know((_OTHER,))

    def know(self, classes: Iterable[str]) -> None:
        """Give these camera classes, those of a live model, series of their own."""
        for name in classes:
            self._compared[name] = self._compared_of.labels(name)
            for side in DIRECTIONS:
                self._flips[name, side] = self._flips_of.labels(name, side)

    def compared(
        self, classes: Iterable[str], live: Sequence[float], shadow: Sequence[float]
    ) -> None:
        """Count rows by the scores of both models; `classes` are the rows' camera classes."""
        names = [name if name in self._compared else _OTHER for name in classes]
        self._rows["scored"].inc(len(names))
        self._difference.observe_many([new - old for old, new in zip(live, shadow, strict=True)])
        for name in set(names):
            self._compared[name].inc(names.count(name))
        for name, old, new in zip(names, live, shadow, strict=True):
            if (old > HALF) != (new > HALF):
                self._flips[name, DIRECTIONS[new > HALF]].inc()

    def lost(self, result: str, rows: int) -> None:
        """Count rows that were not compared: `dropped` or `failed`."""
        self._rows[result].inc(rows)

    def waiting(self, rows: int) -> None:
        """Set how many rows wait."""
        self._waiting.set(rows)
