"""GET /metrics: the series of all workers, in either of the two text formats.

prometheus-flask-exporter serves it. It merges the workers' files, 15 to 70 milliseconds of work:
the server calls it in a thread. Its own per-request hooks stay off: the server counts all requests
of an iteration together instead of making some eighty Python calls for each.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Final

from flask import Flask, request
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_options_header

from service.http.errors import Refused
from service.telemetry.metrics import multiprocess
from service.telemetry.metrics.bearer import bears
from service.telemetry.record import record_of

PATH: Final = "/metrics"
_OPENMETRICS: Final = "application/openmetrics-text"
_GONE: Final = (
    "the folder of the metrics was removed, or a file in it: it will soon be created again"
)
_OF_A_NEGATIVE_HISTOGRAM: Final = ("_sum", "_count")


def serve(app: Flask, registry: CollectorRegistry, token: str) -> None:
    """Serve GET /metrics to clients with the token, to all clients if there is none."""
    exporter = _Exporter.for_app_factory(
        path=PATH,
        export_defaults=False,
        registry=registry,
        metrics_decorator=_guarded(token),
    )
    exporter.init_app(app)


class _Exporter(PrometheusMetrics):  # type: ignore[misc]
    """The exporter with its own content negotiation: the library's ignores `q`."""

    def generate_metrics(self, *_: object) -> tuple[str, str]:
        """The page and its content type, as the request accepts it."""
        try:
            series = _Exposed(multiprocess.collector(self.registry))
            if _wants_openmetrics(request.accept_mimetypes):
                page: bytes = openmetrics.generate_latest(series)  # type: ignore[no-untyped-call]
                return page.decode(), openmetrics.CONTENT_TYPE_LATEST
            return generate_latest(series).decode(), CONTENT_TYPE_PLAIN_0_0_4
        except (multiprocess.FolderRemoved, OSError):
            raise Refused(503, _GONE, {"Retry-After": "1"}) from None


def _wants_openmetrics(accepted: MIMEAccept) -> bool:
    """Whether it is accepted at all, in its version 1.0.0, and no less than plain text."""
    rated, plain = 0.0, 0.0
    for value, quality in accepted:
        kind, options = parse_options_header(value)
        kind = kind.lower()  # types and names of options are the same in capitals
        if kind == _OPENMETRICS and options.get("version", "1.0.0") == "1.0.0":
            rated = max(rated, quality)
        if kind in {"text/plain", "text/*", "*/*"}:
            plain = max(plain, quality)
    return rated > 0 and rated >= plain


class _Exposed(Collector):
    """What a collector has, but for two series of a histogram that takes values below zero.

    Its sum goes up and down, which no counter does: OpenMetrics forbids it, and a count without
    a sum. The bucket `+Inf` is that count.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        for metric in self._collector.collect():
            bounds = (sample.labels.get("le", "") for sample in metric.samples)
            if metric.type == "histogram" and any(bound.startswith("-") for bound in bounds):
                metric.samples = [
                    sample
                    for sample in metric.samples
                    if not sample.name.endswith(_OF_A_NEGATIVE_HISTOGRAM)
                ]
            yield metric


def _guarded(token: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What asks for the token, if there is one."""

    def guard(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: object, **kwargs: object) -> Any:
            if not bears(request.headers.get("Authorization", ""), token):
                challenge = {"WWW-Authenticate": "Bearer"}
                raise Refused(401, "the bearer token is missing or wrong", challenge)
            if "name[]" in request.args:
                raise Refused(400, "name[]: the page can't be filtered")
            record_of(request.environ).route = PATH
            return view(*args, **kwargs)

        return guarded

    return guard
