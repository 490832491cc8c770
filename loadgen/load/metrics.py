"""The generator's own metrics, for the dashboard *Load test*: read from the stats when asked."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from loadgen.common.errors import CannotStart
from loadgen.common.schedule import rate_at
from loadgen.load.runner import LoadRunner

# Seconds that a rate is told of, and how long ago the last must have ended: generators deliver
# twice a second, and half a second that is still with them would look like a service that is slow.
_WINDOW: Final = 5
_DELIVERED: Final = 0.6
_BOUNDS: Final = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class LoadCollector(Collector):
    """What the load_runner knows, as metrics. Nothing is counted twice for their sake."""

    def __init__(self, load_runner: LoadRunner) -> None:
        self._conductor = load_runner

    def collect(self) -> Iterator[Metric]:
        """The five metrics; rates are 0 when nothing runs."""
        yield from self._rates()
        yield self._latencies()
        yield self._failures()

    def _rates(self) -> Iterator[Metric]:
        shape, now = self._conductor.shape, self._conductor.now()
        running = shape is not None and 0 <= now <= shape.seconds + _WINDOW
        end = max(0, int(now - _DELIVERED)) if running else 0
        recent = self._conductor.stats.between(max(0, end - _WINDOW), end)
        target = rate_at(shape.stages, now) if shape and running else 0.0
        late = recent.late.percentile_ms(0.99) or 0.0
        told = {
            "target_requests_per_second": ("What the schedule asks for now", target),
            "achieved_requests_per_second": (
                "Right replies over the last seconds",
                recent.right / max(min(end, _WINDOW), 1),
            ),
            "lateness_seconds": ("How late the generator is, p99 of seconds", late / 1000),
        }
        for name, (words, value) in told.items():
            yield GaugeMetricFamily(f"loadgen_{name}", words, value)

    def _latencies(self) -> Metric:
        times = self._conductor.latency
        counts = zip(_BOUNDS, times.cumulative(_BOUNDS), strict=True)
        buckets = [*((str(bound), float(n)) for bound, n in counts), ("+Inf", float(times.count))]
        words = "From the moment that a request was due to the end of its reply"
        return HistogramMetricFamily(
            "loadgen_client_latency_seconds", words, buckets=buckets, sum_value=times.seconds()
        )

    def _failures(self) -> Metric:
        words = "Replies other than expected, broken connections and timeouts"
        family = CounterMetricFamily("loadgen_failures", words, labels=["reason"])
        for reason, count in {"none": 0, **self._conductor.failures}.items():
            family.add_metric([reason], count)
        return family


def publish(load_runner: LoadRunner, port: int) -> None:
    """Serve the metrics on a port of all addresses: Prometheus is another machine's.

    Raises CannotStart when the port can't be had.
    """
    registry = CollectorRegistry()
    registry.register(LoadCollector(load_runner))
    try:
        start_http_server(port, registry=registry)
    except (OSError, OverflowError) as error:
        raise CannotStart(f"LOADGEN_METRICS_PORT: {port} can't be listened on: {error}") from error
