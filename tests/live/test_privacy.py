"""A plate and a key in every kind of request, and a search for them in all outlets."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import BadStatusLine, IncompleteRead
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.collector import Collector, collecting
from tests.support.kent import Kent, kent
from tests.support.live import (
    JSON,
    Connection,
    assert_refused_by_service,
    chunked,
    connections,
    exchange,
    head,
    posted,
)
from tests.support.planted import KEY, PLATE, POISON
from tests.support.server import Server, eventually, serving

pytestmark = pytest.mark.slow

_APP = "tests.support.breaking:app"
_TOKEN = "t0ken"
# As it is read in Latin letters: for where only ASCII can go.
LATIN = "X777YK799"
_KEYED = {"x-api-key": KEY}
# Another caller's: nothing in a request tells that it is a key.
_OTHERS = "Zq9-another-callers-key-of-ours0"
_LONG = 100_000


def _forms(secret: str) -> set[str]:
    """How a text may look once it has been encoded, escaped or misread."""
    escaped = json.dumps(secret)[1:-1]
    misread = secret.encode().decode("latin-1")
    percent = quote(secret)
    return {
        *(secret, secret.lower(), escaped, escaped.upper().replace("\\U", "\\u")),
        *(misread, json.dumps(misread)[1:-1], repr(secret.encode())[2:-1]),
        *(percent, percent.lower(), quote(percent)),
        *(secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("=")),
    }


SECRETS = frozenset().union(*map(_forms, (PLATE, LATIN, KEY, f"wrong-{KEY}", _OTHERS)))


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Kent]:
    with kent(tmp_path) as receiver:
        yield receiver


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def _scored_or_refused(opened: Connection, row: dict[str, Any]) -> None:
    """Bodies."""

    def post(body: object) -> int:
        return opened.ask("POST", "/reg/", json.dumps(body).encode(), _KEYED).status

    assert post(row) == 200
    assert post([row] * 3) == 200
    assert post([row, {**row, "direction": PLATE}, PLATE, {PLATE: PLATE}]) == 200
    assert post(json.dumps(row)) == 200
    for field in row:
        assert post({**row, field: [PLATE]}) == 400
    assert post({**row, "camera_class": PLATE, "camera_type": KEY}) == 200
    assert post({**row, PLATE: KEY}) in {200, 400}
    assert post(PLATE) == 400
    for text in (f'{{"{PLATE}": ', f'{{"{PLATE}":1,"{PLATE}":2}}', PLATE, f'"{LATIN}\\ud800"'):
        assert opened.ask("POST", "/reg/", text.encode(), _KEYED).status == 400
    assert opened.ask("POST", "/reg/", PLATE.encode("cp1251"), _KEYED).status == 415


def _addresses(opened: Connection) -> None:
    """Paths, queries, methods."""
    for path in (f"/{quote(PLATE)}", f"/reg/{LATIN}/{KEY}", f"/docs/{LATIN}", f"/?{LATIN}={KEY}"):
        assert opened.ask("GET", path, headers=_KEYED).status in {200, 404}
    assert opened.ask("PUT", f"/reg/?plate={LATIN}&key={KEY}", headers=_KEYED).status == 405
    assert opened.ask("GET", "/", headers={"x-api-key": f"wrong-{KEY}"}).status == 401
    assert opened.ask("GET", f"/metrics?{KEY}", headers={"Authorization": KEY}).status == 401


def _headers(opened: Connection) -> None:
    """Headers that the service, a proxy or a library might look at."""
    misread = PLATE.encode().decode("latin-1")
    names = (
        *("User-Agent", "Referer", "Cookie", "Authorization", "X-Forwarded-For", "Accept"),
        *("X-Request-Id", "traceparent", "tracestate", "baggage", "sentry-trace", "Origin"),
    )
    for name in names:
        for value in (misread, LATIN, KEY, f"{LATIN}={KEY}", quote(PLATE), f"id-{_OTHERS}.1"):
            headers = {**_KEYED, name: value}
            assert opened.ask("GET", "/", headers=headers).status == 200
    assert opened.ask("GET", "/", headers={**_KEYED, LATIN: KEY, KEY: LATIN}).status == 200
    assert opened.ask("GET", "/", headers={**_KEYED, "Host": f"{LATIN}.example"}).status == 200


def _kinds(server: Server, row: bytes) -> None:
    """What is not HTTP; bodies that are refused unread, cut, or too long."""
    assert_refused_by_service(
        exchange(server, f"{LATIN} /{KEY} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    )
    long = json.dumps({"regno_recognize": PLATE * _LONG}).encode()
    assert exchange(server, _own(posted(long))).status == 413
    for line in (f"Content-Type: application/{LATIN}", f"Content-Encoding: {LATIN}"):
        assert exchange(server, _own(head(len(row), line).replace(JSON.encode(), b"", 1))).status
    assert exchange(server, _own(head(len(row))) + row[:-40], then_end=True).status == 400
    assert exchange(server, _own(chunked(row))).status == 200
    broken = _own(head(None, "Transfer-Encoding: chunked")) + PLATE.encode() + b"\r\n"
    assert exchange(server, broken, then_end=True).status == 400


def _own(request: bytes) -> bytes:
    """A request of the test's helpers with the planted key instead of theirs."""
    return request.replace(b"x-api-key: 123321", f"x-api-key: {KEY}".encode())


def _no_http(server: Server) -> None:
    """What never becomes a request."""
    plate, key = PLATE.encode(), KEY.encode()
    for raw in (
        plate + b" / HTTP/1.1\r\n\r\n",
        b"GET /" + plate + b" HTTP/1.1\r\n\r\n",
        b"GET /" + LATIN.encode() * 2000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + plate + b": " + key + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-api-key " + key + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: " + key + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: " + LATIN.encode() + b"\r\n\r\n",
        b"GET / " + LATIN.encode() + b"\r\nx-api-key: " + key + b"\r\n\r\n",
    ):
        assert 400 <= exchange(server, raw, then_end=True).status < 500


def _errors(server: Server, row: dict[str, Any]) -> None:
    """Whatever can break."""
    poisoned = json.dumps({**row, "camera_class": POISON}).encode()
    many = json.dumps([row, {**row, "camera_class": POISON}]).encode()
    for body in (poisoned, many):
        assert exchange(server, _own(posted(body))).status == 500
    for path, expected in (("/outside", 500), ("/stray", 200)):
        with closing(Connection(server)) as opened:
            assert opened.ask("GET", f"{path}?{LATIN}", headers=_KEYED).status == expected
    with closing(Connection(server)) as opened, suppress(IncompleteRead, BadStatusLine):
        opened.ask("GET", f"/midway?{LATIN}", headers=_KEYED)
    with server.connect() as gone:  # goes away while its request is answered
        gone.sendall(_own(posted(poisoned)) + _own(posted(poisoned)))


def _slow(server: Server) -> None:
    """A body that does not come."""
    request = _own(head(1000)) + PLATE.encode()
    with server.connect() as slow:
        slow.settimeout(60)
        slow.sendall(request)
        assert slow.recv(65536).startswith(b"HTTP/1.1 408 ")


def _at_once(server: Server, row: bytes) -> None:
    """Many connections, which share batches; one of them is poisoned."""
    poisoned = json.dumps({**json.loads(row), "camera_class": POISON}).encode()

    def ask(opened: Connection, body: bytes) -> None:
        for _ in range(5):
            opened.ask("POST", "/reg/", body, _KEYED)

    with connections(server, 40) as opened:
        bodies = [poisoned if number % 20 == 0 else row for number in range(len(opened))]
        asking = [Thread(target=ask, args=pair) for pair in zip(opened, bodies, strict=True)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()


def _travel(server: Server, row: dict[str, Any]) -> None:
    """Every kind of request."""
    body = json.dumps(row).encode()
    slow = Thread(target=_slow, args=(server,))
    slow.start()
    with closing(Connection(server)) as opened:
        _scored_or_refused(opened, row)
        _addresses(opened)
        _headers(opened)
    _kinds(server, body)
    _no_http(server)
    _errors(server, row)
    _at_once(server, body)
    slow.join()


def _found(content: str) -> set[str]:
    return {secret for secret in SECRETS if secret in content}


def test_no_outlet_shows_a_plate_or_a_key(
    tmp_path: Path, receiver: Kent, collector: Collector, request_body: dict[str, Any]
) -> None:
    row = {**request_body, "regno_recognize": PLATE, "afts_regno_ai": LATIN}
    settings = {
        "api_keys": f"partner:{KEY},other:{_OTHERS}",
        "metrics_token": _TOKEN,
        "sentry_dsn": receiver.dsn,
        "otlp_endpoint": collector.endpoint,
        "log_level": "debug",
        "max_body": "65536",
    }
    with serving(tmp_path / "server", _APP, **settings) as server:
        _travel(server, row)
        eventually(lambda: len(receiver.events()) >= 5, "the errors are reported")
        with server.client(Authorization=f"Bearer {_TOKEN}") as client:
            page = client.get("/metrics").text
        files = b"".join(
            file.read_bytes() for folder in server.metrics_folders() for file in folder.iterdir()
        )
    outlets = {
        "log": server.output() + server.errors(),
        "metrics": page,
        "metrics files": files.decode("utf-8", "replace"),
        "reports": receiver.everything(),
        "spans": b"".join(collector.bodies).decode("utf-8", "replace"),
    }
    assert {name: _found(content) for name, content in outlets.items() if _found(content)} == {}
    _assert_all_roads_were_taken(server, collector, page)


def _assert_all_roads_were_taken(server: Server, collector: Collector, page: str) -> None:
    """Silence proves nothing where nothing was reported."""
    logged = [line for line in server.log() if line["logger"] == "access"]
    expected = {200, 400, 401, 404, 405, 408, 413, 415, 500}
    assert expected <= {line["status"] for line in logged}
    for status in expected:
        assert f'status="{status}"' in page
    assert {line["key"] for line in logged} == {"", "partner"}
    assert len(collector.spans()) > 200
    assert len(server.messages("Internal error")) > 5
    assert sum(line["route"] == "unmatched" and line["status"] == 400 for line in logged) >= 8
