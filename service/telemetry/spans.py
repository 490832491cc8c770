"""A span for each request, sent by OTLP over HTTP. Imports the SDK: only `tracing` imports this.

A span is made at the request's end, from the times in its record, and a thread of its own
sends spans in batches. Names are those of OpenTelemetry's conventions for HTTP servers, less
what a client can write freely: no path, no query, no host, no `tracestate`. The stages are
attributes, not spans: those of an array are interleaved, and requests share a batch.
"""

import logging
from collections.abc import Callable
from time import time_ns
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.config.settings import Settings
from service.telemetry.record import STAGES, Record

_PATH: Final = "/v1/traces"
# Of 55 characters today; keys are looked for in it.
_LONGEST_TRACEPARENT: Final = 128
_context_of = TraceContextTextMapPropagator().extract


def provider_of(settings: Settings) -> TracerProvider:
    """The source of tracers whose spans go to the settings' collector."""
    resource = Resource.create(
        {
            "service.name": "scoring",
            "service.version": settings.version,
            "deployment.environment.name": settings.environment,
        }
    )
    # One line for a batch that is lost, not one for each attempt to send it.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
    address = settings.otlp_endpoint.rstrip("/").removesuffix(_PATH) + _PATH
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # `Traces.stop` does it
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address)))
    return provider


class Spans:
    """Makes the span of each answered request."""

    def __init__(self, tracer: Tracer, holds_secret: Callable[[str], bool]) -> None:
        """`holds_secret` returns whether a text that a client chose is or holds a key."""
        self._tracer = tracer
        self._holds_secret = holds_secret

    def make(self, record: Record, traceparent: bytes) -> None:
        """That of a request which has just been answered; `traceparent` is what it came with."""
        named = "HTTP" if record.method == "other" else record.method
        matched = record.route not in {"", "unmatched"}
        end = time_ns()
        # The caller's span, and whether the caller wants this sampled. Its ids are exported.
        caller = traceparent[:_LONGEST_TRACEPARENT].decode("latin-1")
        span = self._tracer.start_span(
            f"{named} {record.route}" if matched else named,
            context=_context_of({"traceparent": "" if self._holds_secret(caller) else caller}),
            kind=SpanKind.SERVER,
            start_time=end - int(record.seconds * 1e9),
        )
        if not span.is_recording():
            return
        status = record.status
        span.set_attributes(
            {
                "http.request.method": "_OTHER" if record.method == "other" else record.method,
                "http.response.status_code": status,
                "url.scheme": "http",
                **_attributes(record),
            }
        )
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end(end)


def _attributes(record: Record) -> dict[str, Any]:
    """The attributes of a record, without those that are unknown for this request."""
    attributes = {
        "http.route": record.route,
        "scoring.request_id": record.request_id,
        "scoring.key_name": record.key_name,
        "scoring.model_version": record.model_version,
        "scoring.warnings": list(record.warnings),
        "scoring.rows": record.rows,
    }
    stages = {f"scoring.{stage}_seconds": getattr(record, f"{stage}_seconds") for stage in STAGES}
    return {name: value for name, value in (attributes | stages).items() if value}
