"""A receiver of OpenTelemetry spans: OTLP over HTTP, in a thread of the test."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from loadgen.common.processes import free_port


class Collector:
    """What was received, as bytes and decoded."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.bodies: list[bytes] = []

    def resources(self) -> list[dict[str, Any]]:
        """The attributes of the sender of the spans."""
        exports = map(ExportTraceServiceRequest.FromString, self.bodies)
        return [plain(part.resource.attributes) for e in exports for part in e.resource_spans]

    def spans(self) -> list[Span]:
        """The spans, in the order that they came."""
        exports = map(ExportTraceServiceRequest.FromString, self.bodies)
        return [
            span
            for export in exports
            for part in export.resource_spans
            for scope in part.scope_spans
            for span in scope.spans
        ]


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as a dictionary."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value") or "") for a in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A receiver on a free port."""
    port = free_port()
    collector = Collector(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            assert self.path == "/v1/traces"
            collector.bodies.append(gzip.decompress(body) if packed else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
