"""The series that every kind of server has, in a registry of their own."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from service.telemetry.metrics.background import BackgroundMetrics
from service.telemetry.metrics.http import HttpMetrics, Series
from service.telemetry.metrics.process import AcceptMetrics, ProcessMetrics
from service.telemetry.metrics.uncounted import uncounted


class ServerMetrics:
    """Created once in the master, so that each worker's files begin with every series at 0."""

    def __init__(self, key_names: Iterable[str], series: Iterable[Series], *, kept: bool) -> None:
        """`key_names` are the callers', `series` those of requests that begin at 0.

        Unless `kept`, requests are not counted: no address serves the metrics.
        """
        self.registry = CollectorRegistry()
        self.http = (
            HttpMetrics(self.registry, key_names, series) if kept else uncounted(HttpMetrics)
        )
        self.process = ProcessMetrics(self.registry)
        self.accepting = AcceptMetrics(self.registry)
        self.background = BackgroundMetrics(self.registry)
