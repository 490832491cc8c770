"""A span for each request, sent by OTLP over HTTP. Imports the SDK: only `traces` imports this.

A span is made at the request's end, from the times in its record, and a thread of its own
sends spans in batches. Names are those of OpenTelemetry's conventions for HTTP servers, less
what a client can write freely: no path, no query, no host, no `tracestate`. The stages are
attributes, not spans: those of an array are interleaved, and requests share a batch.
"""

import logging
from collections.abc import Callable, Iterable
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.record import ENVIRON_KEY, STAGES, Record, method_of
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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


class Traced:
    """A WSGI app that makes a span of each request, around the door."""

    def __init__(
        self, app: "WSGIApplication", tracer: Tracer, holds_secret: Callable[[str], bool]
    ) -> None:
        """`holds_secret` tells whether a text that a client chose is or holds a key."""
        self._app = app
        self._tracer = tracer
        self._holds_secret = holds_secret

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface."""
        began = time_ns()
        status_sent = "500"

        def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            nonlocal status_sent
            status_sent = status[:3]
            return start(status, headers, *exc_info)

        try:
            return self._app(environ, start_response)
        except Exception:
            status_sent = "500"  # what the server will make of it
            raise
        finally:
            self._make_span(environ, int(status_sent), began)

    def _make_span(self, environ: "WSGIEnvironment", status: int, began: int) -> None:
        record: Record = environ[ENVIRON_KEY]
        method = method_of(environ)
        named = "HTTP" if method == "other" else method
        matched = record.route not in ("", "unmatched")
        # The caller's span, and whether the caller wants this sampled. Its ids are exported.
        caller = environ.get("HTTP_TRACEPARENT", "")[:_LONGEST_TRACEPARENT]
        span = self._tracer.start_span(
            f"{named} {record.route}" if matched else named,
            context=_context_of({"traceparent": "" if self._holds_secret(caller) else caller}),
            kind=SpanKind.SERVER,
            start_time=began,
        )
        if not span.is_recording():
            return
        span.set_attributes(
            {
                "http.request.method": "_OTHER" if method == "other" else method,
                "http.response.status_code": status,
                "url.scheme": environ["wsgi.url_scheme"],
                **_attributes(record),
            }
        )
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end()


def _attributes(record: Record) -> dict[str, Any]:
    """What the record tells, less what is not known of this request."""
    told = {
        "http.route": record.route,
        "scoring.request_id": record.request_id,
        "scoring.key_name": record.key_name,
        "scoring.model_version": record.model_version,
        "scoring.warnings": list(record.warnings),
        "scoring.rows": record.rows,
    }
    stages = {f"scoring.{stage}_seconds": getattr(record, f"{stage}_seconds") for stage in STAGES}
    return {name: value for name, value in (told | stages).items() if value}
