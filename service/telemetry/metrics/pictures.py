"""Pictures: as the processes see them that ask, and the picture processes that score them."""

from collections.abc import Iterable
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.telemetry.metrics.background import BackgroundMetrics
from service.telemetry.metrics.models import CatalogMetrics, ModelMetrics
from service.telemetry.metrics.process import ProcessMetrics

# Of the series of the picture processes as processes: they share a page with the web processes.
PREFIX: Final = "scoring_picture"
# busy: too many waited before it; unavailable: no picture process answered.
OUTCOMES: Final = ("scored", "refused", "busy", "failed", "unavailable")
# From a digit to a photo behind many others.
_SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
_ROWS: Final = (1, 2, 4, 8, 16, 32)


class PictureMetrics:
    """What became of the pictures that a process has handed over."""

    def __init__(self, registry: CollectorRegistry, models: Iterable[str]) -> None:
        """`models` are the names of those that score pictures; their series begin at 0."""
        self._requests = Counter(
            "scoring_picture_requests",
            "Pictures handed over to be scored, by what became of them. busy: too many waited "
            "before it; unavailable: no picture process answered.",
            ("model", "outcome"),
            registry=registry,
        )
        self._seconds = _histogram(
            registry,
            "request_duration_seconds",
            "From a picture being handed over to its answer.",
        )
        self._in_flight = Gauge(
            "scoring_picture_requests_in_flight",
            "Pictures that were handed over and have no answer yet.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        names = tuple(models)
        for model, outcome in product(names, OUTCOMES):
            self._requests.labels(model, outcome)
        for model in names:
            self._seconds.labels(model)

    def asks(self) -> None:
        """Note that a picture is handed over."""
        self._in_flight.inc()

    def asked(self, model: str, outcome: str, seconds: float) -> None:
        """Count what became of it, one of OUTCOMES."""
        self._in_flight.dec()
        self._requests.labels(model, outcome).inc()
        self._seconds.labels(model).observe(seconds)


class PictureProcessMetrics:
    """The series of a picture process."""

    def __init__(self, registry: CollectorRegistry, models: Iterable[str]) -> None:
        """`models` are those that score pictures; their series begin at 0."""
        self.process = ProcessMetrics(registry, PREFIX)
        self.background = BackgroundMetrics(registry)
        self._catalog = CatalogMetrics(registry)
        self._wait = Histogram(
            f"{PREFIX}_wait_seconds",
            "From a picture being handed over to the beginning of the work on it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._decode = _histogram(
            registry, "decode_seconds", "From a picture file to what the model takes, or a refusal."
        )
        self._batch = _histogram(
            registry, "batch_duration_seconds", "One call of the model, for all of its pictures."
        )
        self._rows = Histogram(
            f"{PREFIX}_batch_rows",
            "Pictures scored in one call.",
            ("model",),
            buckets=_ROWS,
            registry=registry,
        )
        for model in models:
            for series in (self._decode, self._batch, self._rows):
                series.labels(model)

    def of(self, model: str) -> ModelMetrics:
        """What counts pictures, versions and drift of a model."""
        return ModelMetrics(self._catalog, model)

    def waited(self, seconds: float) -> None:
        """Note how long a picture has waited."""
        self._wait.observe(max(0.0, seconds))

    def decoded(self, model: str, seconds: float) -> None:
        """Note how long it took to decode a picture, or to find that it can't be."""
        self._decode.labels(model).observe(seconds)

    def batch(self, model: str, rows: int, seconds: float) -> None:
        """Note a call of a model."""
        self._rows.labels(model).observe(rows)
        self._batch.labels(model).observe(seconds)


def _histogram(registry: CollectorRegistry, name: str, text: str) -> Histogram:
    return Histogram(f"{PREFIX}_{name}", text, ("model",), buckets=_SECONDS, registry=registry)
