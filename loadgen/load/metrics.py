"""The generator's own metrics for the dashboard *Load test*, computed at each scrape."""

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

# The seconds of a rate, and how long ago the last of them must have ended: generators deliver twice
# a second, and an undelivered half second would look like a slow service.
_WINDOW: Final = 5
_DELIVERED: Final = 0.6
_BOUNDS: Final = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class LoadCollector(Collector):
    """The counts of a run as metrics."""

    def __init__(self, load_runner: LoadRunner) -> None:
        self._runner = load_runner

    def collect(self) -> Iterator[Metric]:
        """The five metrics; rates are 0 between runs."""
        yield from self._rates()
        yield self._latencies()
        yield self._failures()

    def _rates(self) -> Iterator[Metric]:
        shape, now = self._runner.shape, self._runner.now()
        running = shape is not None and 0 <= now <= shape.seconds + _WINDOW
        end = max(0, int(now - _DELIVERED)) if running else 0
        recent = self._runner.stats.between(max(0, end - _WINDOW), end)
        target = rate_at(shape.stages, now) if shape and running else 0.0
        late = recent.late.percentile_ms(0.99) or 0.0
        gauges = {
            "target_requests_per_second": ("Rate of the schedule now", target),
            "achieved_requests_per_second": (
                "Rate of right replies over the last seconds",
                recent.right / max(min(end, _WINDOW), 1),
            ),
            "lateness_seconds": (
                "Lateness of the generator, p99 of the last seconds",
                late / 1000,
            ),
        }
        for name, (help_text, value) in gauges.items():
            yield GaugeMetricFamily(f"loadgen_{name}", help_text, value)

    def _latencies(self) -> Metric:
        times = self._runner.latency
        counts = zip(_BOUNDS, times.cumulative(_BOUNDS), strict=True)
        buckets = [*((str(bound), float(n)) for bound, n in counts), ("+Inf", float(times.count))]
        help_text = "Latency from the due time of a request to the end of its reply"
        return HistogramMetricFamily(
            "loadgen_client_latency_seconds", help_text, buckets=buckets, sum_value=times.seconds()
        )

    def _failures(self) -> Metric:
        help_text = "Unexpected replies, broken connections and timeouts"
        family = CounterMetricFamily("loadgen_failures", help_text, labels=["reason"])
        for reason, count in {"none": 0, **self._runner.failures}.items():
            family.add_metric([reason], count)
        return family


def publish(load_runner: LoadRunner, port: int) -> None:
    """Serve the metrics on a port of all addresses, since Prometheus may run on another machine.

    Raises CannotStart when the port is not available.
    """
    registry = CollectorRegistry()
    registry.register(LoadCollector(load_runner))
    try:
        start_http_server(port, registry=registry)
    except (OSError, OverflowError) as error:
        raise CannotStart(f"LOADGEN_METRICS_PORT: {port} can't be listened on: {error}") from error
