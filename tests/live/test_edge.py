"""Through the edge: what is passed on, what the service gets to see, what nginx says itself."""

import json
import os
import pwd
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno import RegnoScorer
from model.regno.request import from_fields
from service.edge.config import ID, PLATE, UUID
from service.privacy import may_be_plate
from tests.live.support import started
from tests.support.echo import Echo, Received, echoing
from tests.support.edge import Answer, Edge, before, edge_before, exchange, running
from tests.support.paths import GOLDEN, lines
from tests.support.planted import KEY
from tests.support.server import KEY_HEADER, METRICS_TOKEN, Server, eventually, free_port
from tests.support.strategies import VALID

PLATE_LATIN = "X777YK799"
_HEX = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    with started(folder, host="127.0.0.1", port=str(free_port()), workers="1") as server:
        yield server


@pytest.fixture(scope="module")
def edge(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with edge_before(tmp_path_factory.mktemp("edge"), service.port) as edge:
        yield edge


@pytest.fixture
def echo() -> Iterator[Echo]:
    with echoing() as echo:
        yield echo


@pytest.fixture
def bare(echo: Echo, tmp_path: Path) -> Iterator[Edge]:
    """An edge before an upstream that shows what it got."""
    with edge_before(tmp_path / "edge", echo.port) as edge:
        yield edge


def raw(edge: Edge, sent: bytes) -> Answer:
    """Bytes on a connection of their own, and one reply."""
    with socket.create_connection(("127.0.0.1", edge.port), 20) as connection:
        connection.sendall(sent)
        response = HTTPResponse(connection)
        response.begin()
        return Answer(response.status, response.getheaders(), response.read())


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
    wrong.assert_refused(401, "the x-api-key header is missing or wrong")
    assert wrong.all("WWW-Authenticate") == ['ApiKey header="x-api-key"']
    assert edge.ask("GET", "/reg/").all("Allow")
    assert edge.ask("POST", "/reg/", b"{").status == 400


_TO_METRICS = (
    *("/metrics", "/metrics/", "//metrics", "/reg/../metrics", "/reg/%2e%2e/metrics"),
    *("/%6detrics", "/docs/../metrics", "/docs/..%2fmetrics", "/./metrics", "/reg/..//metrics"),
    *("/metrics?a=/reg/", "/metrics#/../reg/", "/metrics/../reg/", "/metrics%2f..%2freg/"),
    *("/metrics/..%2freg/", "/metrics;/../reg/", "/reg;/../metrics", "/docs/..;/metrics"),
    *("http://127.0.0.1/metrics", "http://x/reg/../metrics", "/METRICS", "/edge/error"),
    *("/healthz", "/readyz", "/status", "/reg/..%5cmetrics", "/reg/%252e%252e/metrics"),
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


def test_the_edge_answers_for_itself_even_without_a_service(tmp_path: Path) -> None:
    with edge_before(tmp_path / "edge", free_port()) as alone:
        well = {"body": "alive", "status": "ok"}
        assert alone.ask("GET", "/edge/healthz").json() == well
        assert alone.status("/healthz").json() == well
        assert b"Active connections" in alone.status("/status").body
        alone.ask("GET", "/status").assert_refused(404, "there is nothing at this address")


def test_the_service_is_told_what_only_the_edge_knows(bare: Edge, echo: Echo) -> None:
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
    head = b"POST /reg/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (VALID[:9], VALID[9:]))
    with socket.create_connection(("127.0.0.1", bare.port), 20) as slow:
        slow.sendall(head + chunks[:40])
        assert bare.ask("GET", "/").status == 200
        assert [received.path for received in echo.received] == ["/"]
        slow.sendall(chunks[40:] + b"0\r\n\r\n")
        response = HTTPResponse(slow)
        response.begin()
        assert response.status == 200
    assert echo.received[-1].body == VALID
    assert echo.last["Content-Length"] == str(len(VALID))


# Ids and whether they are kept.
_IDS = {
    str(uuid4()): True,
    uuid4().hex: True,
    "a123bc77-0000-4000-8000-000000000000": True,  # a plate's letters, but a UUID
    "camera-12.frame:9_b": True,
    "x" * 128: True,
    "x" * 129: False,
    "": False,
    "two words": False,
    f"ok {PLATE_LATIN}": False,
    'quote"': False,
    "id;drop": False,
    PLATE_LATIN: False,
    f"req-{PLATE_LATIN}-1": False,
    "x-7.7.7-y-k-7-9-9": False,
    f"id-{KEY}": False,
}


@pytest.mark.parametrize("given_id", _IDS)
def test_an_id_is_kept_if_it_is_sensible(given_id: str, bare: Edge, echo: Echo) -> None:
    headers = {"x-api-key": KEY, "X-Request-Id": given_id}
    for path, upstream in (("/", True), ("/nowhere", False)):
        [told] = bare.ask("GET", path, headers=headers).all("X-Request-Id")
        if _IDS[given_id]:
            assert told == given_id
        else:
            assert _HEX.fullmatch(told)
        if upstream:
            assert echo.last.get_all("X-Request-Id") == [told]


def test_an_id_is_told_once_and_is_that_of_the_services_log(edge: Edge, service: Server) -> None:
    given_id = str(uuid4())
    for headers in (KEY_HEADER | {"X-Request-Id": given_id}, KEY_HEADER):
        reply = edge.ask("POST", "/reg/", VALID, headers)
        [told] = reply.all("X-Request-Id")
        assert told == given_id or _HEX.fullmatch(told)
        eventually(lambda told=told: told in service.output(), "the service logs the id")  # type: ignore[misc]


def test_the_services_own_choice_of_an_id_is_what_the_client_gets(bare: Edge, echo: Echo) -> None:
    echo.answer = lambda _: (200, {"X-Request-Id": "chosen"}, b"{}")
    assert bare.ask("GET", "/").all("X-Request-Id") == ["chosen"]


_PIECES = st.sampled_from([*"ABEKMHOPCTYXDxyzq", *"0123456789", *"._:-", "777", "XK", "X777YK"])


@given(st.lists(_PIECES, min_size=1, max_size=12).map("".join))
def test_the_edge_takes_for_a_plate_what_the_service_does(identifier: str) -> None:
    """The patterns are written twice, for PCRE and for Python: they must say the same."""
    assert re.fullmatch(ID, identifier)
    suspected = not re.fullmatch(UUID, identifier) and bool(re.search(PLATE, identifier))
    assert suspected == may_be_plate(identifier)


def test_a_refusal_of_the_service_keeps_its_retry_after(bare: Edge, echo: Echo) -> None:
    said = b'{"body":"busy","status":"fail"}'
    echo.answer = lambda _: (429, {"Retry-After": "7", "Content-Type": "application/json"}, said)
    reply = bare.ask("POST", "/reg/", VALID)
    assert (reply.status, reply.all("Retry-After"), reply.body) == (429, ["7"], said)


def _oversized(edge: Edge, size: int) -> Answer:
    head = f"POST /reg/ HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    return raw(edge, head.encode() + b"x" * 1000)


def test_what_is_too_long_is_refused_in_the_services_words(edge: Edge) -> None:
    limit = 16 * 1024 * 1024
    _oversized(edge, limit + 1).assert_refused(413, f"the body is longer than {limit} bytes")
    edge.ask("GET", "/" + "a" * 9000).assert_refused(414, "the address is too long")
    long = edge.ask("GET", "/", headers={"x-long": "a" * 9000})
    long.assert_refused(431, "the headers are too long")


_TWO_LENGTHS = (
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /reg/ HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (_TWO_LENGTHS, 400),
        (b"POST /reg/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_bad_http_gets_the_envelope(sent: bytes, status: int, bare: Edge, echo: Echo) -> None:
    reply = raw(bare, sent)
    assert reply.status == status
    reply.assert_refused(status, reply.json()["body"])
    assert echo.received == []


@pytest.mark.slow
def test_a_service_that_is_down_is_told_at_once_and_noticed_when_it_is_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    with edge_before(tmp_path / "edge", port) as edge:
        for _ in range(5):
            began = time.monotonic()
            down = edge.ask("POST", "/reg/", VALID)
            down.assert_refused(502, "the service can't be reached")
            assert time.monotonic() - began < 1
        with started(tmp_path / "s", host="127.0.0.1", port=str(port), workers="1"):
            assert edge.ask("POST", "/reg/", VALID).status == 200
        edge.ask("POST", "/reg/", VALID).assert_refused(502, "the service can't be reached")


def test_the_log_tells_what_the_edge_answered_and_nothing_else(bare: Edge, echo: Echo) -> None:
    assert bare.ask("POST", "/reg/", VALID).status == 200
    echo.answer = lambda _: (500, {}, b"the service's own")
    assert bare.ask("GET", "/").status == 500
    [told] = bare.ask("GET", "/nowhere").all("X-Request-Id")
    eventually(lambda: len(bare.told()) > 0, "the reply is in the log")
    [line] = bare.told()
    assert line.pop("seconds") < 1
    assert line.pop("received") > 50
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", line.pop("time"))
    assert line == {
        "status": 404,
        "request_id": told,
        "address": "127.0.0.1",
        "certificate": "",
        "upstream": "",
        "upstream_status": "",
    }


def _planted(edge: Edge) -> list[Answer]:
    """Requests that hold a key and a plate wherever a request can, and fail in every way."""
    ids = (f"a-{PLATE_LATIN}", f"b-{KEY}", "sensible")
    query = f"?key={KEY}&plate={PLATE_LATIN}"
    headers = {
        "x-api-key": KEY,
        "Cookie": KEY,
        "Referer": f"http://x/{PLATE_LATIN}{query}",
        "User-Agent": PLATE_LATIN,
        "X-Forwarded-For": PLATE_LATIN,
        "Authorization": KEY,
    }
    replies = [
        edge.ask(method, path + query, body, headers | {"X-Request-Id": given_id})
        for method, body in (("GET", None), ("POST", f'"{PLATE_LATIN}{KEY}"'.encode()))
        for path in ("/", "/reg/", f"/reg/{PLATE_LATIN}", f"/{PLATE_LATIN}/{KEY}", "/edge/error")
        for given_id in ids
    ]
    long = {**headers, "X-Long": PLATE_LATIN * 1000}
    replies += [edge.ask("GET", f"/{query}", headers=long), edge.ask("GET", f"/{query * 300}")]
    head = f"POST /reg/{query} HTTP/1.1\r\nHost: {PLATE_LATIN}\r\nx-api-key: {KEY}\r\n"
    for rest in (
        "Content-Length: 99999999\r\n\r\n",
        "Content-Length: x\r\n\r\n",
        "Bad\0: 1\r\n\r\n",
    ):
        replies.append(raw(edge, (head + rest).encode()))
    replies.append(raw(edge, f"{KEY} {PLATE_LATIN}\r\n\r\n".encode()))
    # A body that is kept in a file on its way.
    replies.append(edge.ask("POST", f"/reg/{query}", PLATE_LATIN.encode() * 40_000, headers))
    return replies


def test_no_key_and_no_plate_in_anything_that_nginx_writes(echo: Echo, tmp_path: Path) -> None:
    breaking = {"/reg/": None, f"/reg/{PLATE_LATIN}": (200, {"X-Big": "x" * 90_000}, b"")}

    def answer(received: Received) -> Any:
        return breaking.get(received.path.partition("?")[0], (200, {}, b"{}"))

    echo.answer = answer
    with edge_before(tmp_path / "edge", echo.port, rate_per_key="5", reply_timeout="5") as edge:
        statuses = {reply.status for reply in _planted(edge)}
        assert {200, 400, 404, 413, 414, 429, 431, 502} <= statuses
        with socket.create_connection(("127.0.0.1", edge.port), 20) as gone:
            gone.sendall(
                f"POST /reg/{PLATE_LATIN} HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n".encode()
            )
    with edge_before(tmp_path / "down", free_port()) as down:
        assert {reply.status for reply in _planted(down)} >= {502}
    for written in (edge.everything(), down.everything()):
        assert '"status":502' in written
        assert PLATE_LATIN not in written
        assert KEY not in written
        assert "123321" not in written


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_it_runs_as_nobody_and_writes_in_one_folder_only(echo: Echo) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    # Of its own: that user may not enter the usual folders of tests.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        upstream = {"upstreams": before(echo.port)}
        with running(Edge(Path(folder) / "edge", upstream, user=nobody)) as edge:
            assert set(psutil.Process(edge.process.pid).uids()) == {nobody}
            # Too large for memory: body and reply go through files.
            echo.answer = lambda received: (200, {}, received.body)
            body = os.urandom(8_000_000)
            assert edge.ask("POST", "/reg/", body).body == body
            edge.ask("GET", "/nowhere")
            edge.reload()
            assert edge.ask("GET", "/edge/healthz").status == 200
            assert {path.name for path in edge.workdir.iterdir()} == {
                *("nginx.pid", "body", "proxy", "unused"),
            }
        assert {path.name for path in edge.folder.iterdir()} == {
            *("nginx.conf", "stderr", "stdout", "work"),
        }
        assert not [path for path in edge.workdir.rglob("*") if path.is_file()]
        assert "[alert]" not in edge.errors()
        assert "[emerg]" not in edge.errors()
