"""Requests through the edge: what it passes on, and what the service receives."""

import json
import re
import socket
import time
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from model.regno import RegnoScorer
from model.regno.request import from_fields
from tests.support.echo import Echo
from tests.support.edge import Edge, assert_refused_by_edge, edge_before, exchange, raw
from tests.support.messages import mentions
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER, METRICS_TOKEN, Server, eventually
from tests.support.strategies import VALID

PLATE_LATIN = "X777YK799"
_HEX = re.compile(r"[0-9a-f]{32}")


def test_golden_rows_score_the_same_through_the_edge(edge: Edge, scorer: RegnoScorer) -> None:
    requests = [line["request"] for line in lines(GOLDEN)[:200]]
    expected = [
        {"negative": score.negative, "positive": score.positive}
        for score in scorer.score([from_fields(**request) for request in requests])
    ]
    with closing(edge.connection()) as kept:
        singles = [
            exchange(kept, "POST", path, json.dumps(request).encode()).json()["body"]
            for request, path in zip(requests, ("/reg/", "/reg") * 100, strict=True)
        ]
    assert singles == expected
    array = edge.ask("POST", "/reg/", json.dumps(requests).encode())
    assert array.json() == {"body": expected, "status": "ok"}
    assert array.all("X-Model-Version")
    assert array.all("Server-Timing")


def test_the_greatest_array_of_the_service_passes(edge: Edge) -> None:
    rows = [lines(GOLDEN)[0]["request"]] * 10_000
    body = json.dumps(rows).encode()
    assert 6_000_000 < len(body) <= 16 * 1024 * 1024
    reply = edge.ask("POST", "/reg/", body)
    assert reply.status == 200
    assert len(reply.json()["body"]) == 10_000


def test_the_pages_for_people_are_there(edge: Edge) -> None:
    assert edge.ask("GET", "/").json() == {"body": "ok", "status": "ok"}
    assert edge.ask("GET", "/openapi.json").json()["openapi"].startswith("3.")
    assert b"swagger" in edge.ask("GET", "/docs/").body
    moved = edge.ask("GET", "/docs")
    # Neither scheme nor port of the service: only we know ours.
    assert (moved.status // 100, moved.all("Location")) == (3, ["/docs/"])


def test_refusals_of_the_service_pass_as_they_are(edge: Edge) -> None:
    wrong = edge.ask("POST", "/reg/", VALID, {"x-api-key": "wrong"})
    assert_refused_by_edge(wrong, 401, "x-api-key")
    assert wrong.all("WWW-Authenticate") == ['ApiKey header="x-api-key"']
    assert edge.ask("GET", "/reg/").all("Allow")
    assert edge.ask("POST", "/reg/", b"{").status == 400


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/model"), ("POST", "/model/promote"), ("POST", "/model/rollback")]
)
def test_operators_reach_the_model(method: str, path: str, edge: Edge) -> None:
    reply = edge.ask(method, path)
    assert reply.status == 403
    assert mentions(reply.json()["body"], "key", "admin")
    assert edge.ask(method, path, headers={"x-api-key": "wrong"}).status == 401


_TO_METRICS = (
    *("/metrics", "/metrics/", "//metrics", "/reg/../metrics", "/reg/%2e%2e/metrics"),
    *("/%6detrics", "/docs/../metrics", "/docs/..%2fmetrics", "/./metrics", "/reg/..//metrics"),
    *("/metrics?a=/reg/", "/metrics#/../reg/", "/metrics/../reg/", "/metrics%2f..%2freg/"),
    *("/metrics/..%2freg/", "/metrics;/../reg/", "/reg;/../metrics", "/docs/..;/metrics"),
    *("http://127.0.0.1/metrics", "http://x/reg/../metrics", "/METRICS", "/edge/error"),
    *("/healthz", "/readyz", "/status", "/reg/..%5cmetrics", "/reg/%252e%252e/metrics"),
    *("/edge/key", "/edge/key/unknown", "/regmetrics", "/model/", "/model/metrics", "/docsx"),
)


@pytest.mark.parametrize("target", _TO_METRICS)
def test_metrics_and_probes_are_not_there(target: str, edge: Edge, service: Server) -> None:
    token = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    with service.client(**token) as client:
        assert "scoring_http_requests_total" in client.get("/metrics").text
    head = f"Host: x\r\nx-api-key: 123321\r\nAuthorization: Bearer {METRICS_TOKEN}"
    for method in ("GET", "POST"):
        sent = f"{method} {target} HTTP/1.1\r\n{head}\r\nContent-Length: 0\r\n\r\n".encode()
        reply = raw(edge, sent)
        assert 400 <= reply.status < 500, reply
        assert b"scoring_" not in reply.body
        assert reply.json()["status"] == "fail"


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /reg", "PATH_INFO: /metrics", "X_Api_Key: other"])
def test_no_header_with_an_underscore_is_passed_on(header: str, bare: Edge, echo: Echo) -> None:
    """A server behind may take it for another one, or for its own."""
    head = f"GET /reg/metrics HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\n{header}\r\n\r\n"
    assert raw(bare, head.encode()).status == 200
    assert not [name for name in echo.last if "_" in name]
    assert echo.last.get_all("X-Api-Key") == ["k"]


def test_the_edge_answers_for_itself_even_without_a_service(tmp_path: Path) -> None:
    with edge_before(tmp_path / "edge", free_port()) as alone:
        well = {"body": "alive", "status": "ok"}
        assert alone.ask("GET", "/edge/healthz").json() == well
        assert alone.status("/healthz").json() == well
        assert b"Active connections" in alone.status("/status").body
        assert_refused_by_edge(alone.ask("GET", "/status"), 404, "nothing", "address")


def test_the_edge_sets_the_forwarding_headers_and_drops_forged_ones(bare: Edge, echo: Echo) -> None:
    began = time.time()
    forged = {
        **KEY_HEADER,
        "X-Request-Start": "t=1.5",
        "X-Forwarded-For": "1.2.3.4",
        "Forwarded": "for=1.2.3.4",
        "X-Real-IP": "1.2.3.4",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Ssl": "on",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Protocol": "ssl",
        "Host": "scoring.example:8443",
        "Connection": "close",
        "X-Other": "kept",
    }
    assert bare.ask("POST", "/reg/", VALID, forged).status == 200
    got = echo.last
    starts = got.get_all("X-Request-Start", [])
    assert len(starts) == 1
    assert re.fullmatch(r"t=\d{10}\.\d{3}", starts[0])
    assert began - 0.1 <= float(starts[0][2:]) <= time.time() + 0.1
    assert got.get_all("X-Forwarded-For") == ["127.0.0.1"]
    assert got.get_all("X-Forwarded-Proto") == ["http"]
    assert got.get_all("X-Forwarded-Host") == ["scoring.example"]
    assert got.get_all("X-Api-Key") == ["123321"]
    assert got["X-Other"] == "kept"
    dropped = ("Forwarded", "X-Real-IP", "X-Forwarded-Ssl", "X-Forwarded-Port", "Connection")
    assert [name for name in (*dropped, "X-Forwarded-Protocol") if name in got] == []
    assert echo.received[-1].body == VALID


def test_requests_share_connections_to_the_service(bare: Edge, echo: Echo) -> None:
    for _ in range(40):
        bare.ask("GET", "/")
    assert len(echo.received) == 40
    # One for each process of nginx, at most.
    assert 1 <= len({received.peer for received in echo.received}) <= 2


def test_a_whole_body_is_passed_at_once_with_its_length(bare: Edge, echo: Echo) -> None:
    head = b"POST /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (VALID[:9], VALID[9:]))
    with socket.create_connection(("127.0.0.1", bare.port), 20) as slow:
        slow.sendall(head + chunks[:40])
        eventually(lambda: len(echo.received) == 1, "the service checks the key")
        assert bare.ask("GET", "/").status == 200
        # The check of the key for a body without a stated length, and the other request.
        checks = [(received.headers["X-Api-Key"], received.path) for received in echo.received]
        assert checks == [("k", "/"), ("123321", "/")]
        slow.sendall(chunks[40:] + b"0\r\n\r\n")
        response = HTTPResponse(slow)
        response.begin()
        assert response.status == 200
    assert echo.received[-1].body == VALID
    assert echo.last["Content-Length"] == str(len(VALID))
