"""Spans of a real server arrive at a real OTLP endpoint: one for each request, without secrets."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from loadgen.common.processes import free_port
from tests.support.collector import Collector, collecting, plain
from tests.support.live import started
from tests.support.messages import states
from tests.support.paths import ROOT
from tests.support.planted import KEY, PLATE, POISON
from tests.support.server import Server, serving

pytestmark = pytest.mark.slow

_APP = "tests.support.breaking:app"
_TRACE, _PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

# How far a wall clock is set at most while a test runs, in nanoseconds.
_CLOCK_SET = 10**9


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def _settings(endpoint: str) -> dict[str, str]:
    named = {"environment": "test-bench", "release": "9.8.7"}
    return {"otlp_endpoint": endpoint, "api_keys": f"partner:{KEY}", **named}


def test_a_scored_request_is_one_server_span(
    tmp_path: Path, collector: Collector, request_body: dict[str, Any]
) -> None:
    with (
        serving(tmp_path, **_settings(collector.endpoint)) as server,
        server.client(x_api_key=KEY, x_request_id="planted-1") as client,
    ):
        before = time.time_ns()
        reply = client.post("/reg/", json=request_body)
        after = time.time_ns()
        assert reply.status_code == 200
    # The stop has sent what was waiting.
    (span,) = [span for span in collector.spans() if span.name == "POST /reg"]
    assert span.kind == Span.SPAN_KIND_SERVER
    # The start is the end less a monotonic clock's difference: a wall clock may be set meanwhile.
    assert span.start_time_unix_nano < span.end_time_unix_nano
    assert before - _CLOCK_SET < span.start_time_unix_nano
    assert span.end_time_unix_nano < after + _CLOCK_SET
    attributes = plain(span.attributes)
    stages = {name: attributes.pop(name) for name in list(attributes) if name.endswith("_seconds")}
    assert attributes == {
        "http.request.method": "POST",
        "http.route": "/reg",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "scoring.request_id": "planted-1",
        "scoring.key_name": "partner",
        "scoring.model_version": reply.headers["X-Model-Version"],
        "scoring.rows": 1,
    }
    assert set(stages) == {
        f"scoring.{stage}_seconds" for stage in ("decode", "features", "wait", "predict", "encode")
    }
    assert 0 < sum(stages.values()) < (after - before) / 1e9
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert not span.parent_span_id
    resource = collector.resources()[0]
    assert resource["service.name"] == "scoring"
    assert resource["service.version"] == "9.8.7"
    assert resource["deployment.environment.name"] == "test-bench"


def test_what_is_not_scored_has_a_span_too(tmp_path: Path, collector: Collector) -> None:
    with (
        serving(tmp_path, _APP, **_settings(collector.endpoint)) as server,
        server.client(x_api_key=KEY) as client,
    ):
        assert client.get("/healthz").status_code == 200
        assert client.get("/nowhere").status_code == 404
        assert client.request("PROPFIND", "/reg/").status_code == 405
        assert client.get("/outside").status_code == 500
        assert client.get("/").status_code == 200
    spans = {
        (span.name, plain(span.attributes)["http.response.status_code"], span.status.code)
        for span in collector.spans()
    }
    assert {
        ("GET /healthz", 200, Status.STATUS_CODE_UNSET),
        ("GET", 404, Status.STATUS_CODE_UNSET),
        ("GET /", 200, Status.STATUS_CODE_UNSET),
    } <= spans
    assert {status for name, status, _ in spans if name == "HTTP /reg"} == {405}
    (broken,) = [span for span in collector.spans() if span.status.code == Status.STATUS_CODE_ERROR]
    assert plain(broken.attributes)["error.type"] == "500"
    methods = [plain(span.attributes)["http.request.method"] for span in collector.spans()]
    assert "_OTHER" in methods
    assert "PROPFIND" not in str(collector.bodies)


def _sent(server: Server, traceparent: str, number: int) -> None:
    headers = {"traceparent": traceparent, "tracestate": f"plate={PLATE.encode().hex()}"}
    with server.client(x_api_key=KEY, x_request_id=f"n-{number}") as client:
        assert client.get("/", headers=headers).status_code == 200


def test_the_callers_trace_is_continued_if_it_is_sampled(
    tmp_path: Path, collector: Collector
) -> None:
    parents = [
        f"00-{_TRACE}-{_PARENT}-01",  # sampled
        f"00-{_TRACE}-{_PARENT}-00",  # not sampled
        f"00-{'0' * 32}-{_PARENT}-01",  # no trace at all
        "nonsense",
        PLATE.encode().hex(),
    ]
    with serving(tmp_path, **_settings(collector.endpoint)) as server:
        for number, traceparent in enumerate(parents):
            _sent(server, traceparent, number)
    spans = {
        plain(span.attributes)["scoring.request_id"]: span
        for span in collector.spans()
        if span.name == "GET /"
    }
    assert set(spans) == {"n-0", "n-2", "n-3", "n-4"}
    assert spans["n-0"].trace_id.hex() == _TRACE
    assert spans["n-0"].parent_span_id.hex() == _PARENT
    assert not spans["n-0"].trace_state
    assert not spans["n-2"].parent_span_id
    assert len({span.trace_id for span in spans.values()}) == 4


def test_a_key_is_no_callers_trace_nor_span(tmp_path: Path, collector: Collector) -> None:
    """Keys may be hexadecimal, and what a client gives as its trace's id is exported."""
    as_trace, as_span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    settings = {**_settings(collector.endpoint), "api_keys": f"a:{KEY},b:{as_trace},c:{as_span}"}
    parents = [f"00-{as_trace}-{_PARENT}-01", f"00-{_TRACE}-{as_span}-01"]
    with serving(tmp_path, **settings) as server:
        for number, traceparent in enumerate(parents):
            _sent(server, traceparent, number)
    spans = [span for span in collector.spans() if span.name == "GET /"]
    assert [span.parent_span_id for span in spans] == [b"", b""]
    assert {span.trace_id.hex() for span in spans}.isdisjoint({as_trace, _TRACE})
    for secret in (as_trace, as_span):
        assert bytes.fromhex(secret) not in b"".join(collector.bodies)


def test_no_secret_reaches_a_span(
    tmp_path: Path, collector: Collector, request_body: dict[str, Any]
) -> None:
    planted = {**request_body, "regno_recognize": PLATE}
    headers = {"tracestate": "k=" + KEY, "User-Agent": KEY, "Referer": KEY}
    with (
        serving(tmp_path, _APP, **_settings(collector.endpoint)) as server,
        server.client(x_api_key=KEY, x_request_id=KEY) as client,
    ):
        for body in (planted, {**planted, "direction": PLATE}, {**planted, "camera_class": POISON}):
            client.post("/reg/", json=body, headers=headers, params={"plate": PLATE})
        client.get(f"/{PLATE}/{KEY}", headers=headers)
        client.request("X777YK799", "/", headers=headers)
    assert len(collector.spans()) >= 5
    for secret in (PLATE, KEY, POISON, "X777YK799", "%D0%A5"):
        assert secret.encode() not in b"".join(collector.bodies)


@pytest.mark.parametrize("silent", [True, False])
def test_a_failing_collector_delays_neither_replies_nor_the_stop(
    tmp_path: Path, *, silent: bool
) -> None:
    port = free_port()
    # A collector that takes connections and never answers, or none.
    with socket.create_server(("127.0.0.1", port)) as listener:
        if not silent:
            listener.close()
        # One worker: that it answers means that it has booted, and takes signals.
        settings = {**_settings(f"http://127.0.0.1:{port}"), "workers": "1"}
        with started(tmp_path, **settings) as server:
            with server.client(x_api_key=KEY) as client:
                assert client.get("/").status_code == 200
            assert server.stop() == 0
            assert server.errors() == ""
            assert server.log()


def test_without_its_packages_the_start_is_refused_with_their_names(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    paths = f"{hooks}:{ROOT}"
    settings = {"SCORING_OTLP_ENDPOINT": "http://127.0.0.1:4318", "PYTHONPATH": paths}
    server = Server(tmp_path / "server", settings)
    try:
        assert server.process.wait(60) == 78
        facts = ("not installed", "pip install 'plate-scoring[traces]'")
        assert states(server.errors(), "Not started. SCORING_OTLP_ENDPOINT: ", *facts)
    finally:
        server.stop()
    without = Server(tmp_path / "without", {"PYTHONPATH": paths, "SCORING_WORKERS": "1"})
    try:
        without.wait_ready()
    finally:
        assert without.stop() == 0
