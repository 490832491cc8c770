"""What the process of the sink does beside taking in the spool: metrics, quality, stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from service.config import addresses
from service.config.settings import Settings, SettingsError, variable
from service.decisions.quality_loop import QualityLoop
from service.decisions.stores.configured import check_packages
from service.decisions.stores.loops import StoreLoops
from service.telemetry.metrics.decision_quality import QualityMetrics
from service.telemetry.metrics.decision_sink import SinkMetrics
from service.telemetry.metrics.page_server import PageServer


@contextmanager
def exporting(settings: Settings) -> Iterator[SinkMetrics]:
    """Within the block show metrics, and keep the stores up to the log, which must be there.

    Raises SettingsError.
    """
    check_packages(settings)
    registry = CollectorRegistry()
    metrics = SinkMetrics(registry)
    with _page(settings, registry):
        loops = StoreLoops(settings, metrics)
        quality = QualityLoop(settings, QualityMetrics(registry))
        if settings.sink_metrics_bind:
            quality.start()
        try:
            yield metrics
        finally:
            loops.stop()
            quality.stop()


@contextmanager
def _page(settings: Settings, registry: CollectorRegistry) -> Iterator[None]:
    if not settings.sink_metrics_bind:
        yield
        return
    ProcessCollector(registry=registry)
    address = addresses.ip_and_port(settings.sink_metrics_bind)
    try:
        server = PageServer(address, settings.metrics_token, lambda: generate_latest(registry))
    except OSError as error:
        reason = f"{settings.sink_metrics_bind}: {error.strerror}"
        raise SettingsError(variable("sink_metrics_bind"), reason) from error
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
