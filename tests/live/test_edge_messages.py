"""Replies that nginx itself makes: the service's messages, and logs without a client's text."""

import os
import pwd
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadgen.common.processes import free_port
from tests.support.echo import Echo, Received
from tests.support.edge import Edge, assert_refused_by_edge, before, edge_before, raw, running
from tests.support.live import started
from tests.support.planted import KEY, stands_in
from tests.support.reply import Reply
from tests.support.server import eventually
from tests.support.strategies import VALID

PLATE_LATIN = "X777YK799"
_HEX = re.compile(r"[0-9a-f]{32}")


def test_a_refusal_of_the_service_keeps_its_retry_after(bare: Edge, echo: Echo) -> None:
    body = b'{"body":"busy","status":"fail"}'
    echo.answer = lambda _: (429, {"Retry-After": "7", "Content-Type": "application/json"}, body)
    reply = bare.ask("POST", "/reg/", VALID)
    assert (reply.status, reply.all("Retry-After"), reply.body) == (429, ["7"], body)


def _oversized(edge: Edge, size: int) -> Reply:
    head = f"POST /reg/ HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    return raw(edge, head.encode() + b"x" * 1000)


def test_oversized_requests_get_the_error_bodies_of_the_service(edge: Edge) -> None:
    limit = 16 * 1024 * 1024
    assert_refused_by_edge(_oversized(edge, limit + 1), 413, f"{limit} bytes")
    assert_refused_by_edge(edge.ask("GET", "/" + "a" * 9000), 414, "address", "too long")
    long = edge.ask("GET", "/", headers={"x-long": "a" * 9000})
    assert_refused_by_edge(long, 431, "headers", "too long")


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
    assert_refused_by_edge(reply, status, reply.json()["body"])
    assert echo.received == []


@pytest.mark.slow
def test_a_service_that_is_down_gives_502_at_once_until_it_is_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    with edge_before(tmp_path / "edge", port) as edge:
        for _ in range(5):
            down = edge.ask("POST", "/reg/", VALID)
            assert_refused_by_edge(down, 502, "can't be reached")
        with started(tmp_path / "s", host="127.0.0.1", port=str(port), workers="1"):
            assert edge.ask("POST", "/reg/", VALID).status == 200
        assert_refused_by_edge(edge.ask("POST", "/reg/", VALID), 502, "can't be reached")


def test_the_log_has_only_replies_that_the_edge_itself_made(bare: Edge, echo: Echo) -> None:
    assert bare.ask("POST", "/reg/", VALID).status == 200
    echo.answer = lambda _: (500, {}, b"the service's own")
    assert bare.ask("GET", "/").status == 500
    [request_id] = bare.ask("GET", "/nowhere").all("X-Request-Id")
    eventually(lambda: len(bare.log()) > 0, "the reply is in the log")
    [line] = bare.log()
    assert line.pop("seconds") >= 0
    assert line.pop("received") > 50
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", line.pop("time"))
    assert line == {
        "status": 404,
        "reason": "there is nothing at this address",
        "request_id": request_id,
        "address": "127.0.0.1",
        "certificate": "",
        "upstream": "",
        "upstream_status": "",
    }


def _planted(edge: Edge) -> list[Reply]:
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
        assert not stands_in(written, "123321")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_it_runs_as_an_unprivileged_user_and_writes_in_one_folder_only(echo: Echo) -> None:
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
