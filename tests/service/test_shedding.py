"""A look at the bytes under load: who gets 429 before any parser, and with which words."""

import json
from collections.abc import Iterator

import gevent
import pytest
from flask import Flask
from gevent.event import Event

from tests.conftest import AppMaker
from tests.support.server import KEY

# What a worker scores at once.
SLOTS = 32
BODY = b'{"regno_recognize": "x"}'
FIELDS = {
    "Host": "x",
    "x-api-key": KEY,
    "Content-Type": "application/json",
    "X-Request-Id": "mine-1",
    "Content-Length": str(len(BODY)),
}


def request(body: bytes = BODY, line: str = "POST /reg/ HTTP/1.1", **changed: str | None) -> bytes:
    fields = {**FIELDS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    lines = (f"{name}: {value}" for name, value in fields.items() if value is not None)
    return "\r\n".join((line, *lines, "", "")).encode("latin-1") + body


@pytest.fixture
def full(make_app: AppMaker) -> Iterator[Flask]:
    """An app with all slots taken, and no room."""
    app = make_app(max_waiting=0)
    admission = app.extensions["admission"]
    over = Event()

    def hold() -> None:
        with admission.check({}, len(BODY)):
            over.wait()

    held = [gevent.spawn(hold) for _ in range(SLOTS)]
    gevent.idle()
    yield app
    over.set()
    gevent.joinall(held, raise_error=True)


def test_a_request_refused_at_a_glance_gets_what_the_app_would_say(full: Flask) -> None:
    seen = full.extensions["glance"].refusal(request())
    assert seen is not None
    assert seen.missing == 0
    head, _, body = seen.reply.decode().partition("\r\n\r\n")
    line, *rest = head.split("\r\n")
    assert line == "HTTP/1.1 429 Too Many Requests"
    fields = dict(field.split(": ") for field in rest)
    said = full.test_client().post(
        "/reg/", data=BODY, headers={name: v for name, v in FIELDS.items() if name != "Host"}
    )
    assert json.loads(body) == said.get_json()
    assert fields.pop("Retry-After") in {"1", "2", "3"}
    assert fields.pop("Connection") == "keep-alive"
    assert fields == {name: said.headers[name] for name in fields}
    assert fields.keys() == set(said.headers.keys()) - {"Retry-After"}


@pytest.mark.parametrize("query", ["", "?detail=1", "?detail=0"])
def test_who_asks_for_details_is_refused_at_a_glance_too(full: Flask, query: str) -> None:
    assert full.extensions["glance"].refusal(request(line=f"POST /reg/{query} HTTP/1.1"))
    said = full.test_client().post(f"/reg/{query}", data=BODY, headers={"x-api-key": KEY})
    assert said.status_code == 429


@pytest.mark.parametrize(
    "data",
    [
        request(line="POST /reg/?detail=2 HTTP/1.1"),
        request(line="POST /reg/?detail=1&a=b HTTP/1.1"),
        request(line="GET /reg/ HTTP/1.1"),
        request(line="POST /reg/ HTTP/1.0"),
        request(line="POST /reg/?a=b HTTP/1.1"),
        request(line="POST /regs HTTP/1.1"),
        request(line="POST /healthz HTTP/1.1"),
        request(Content_Length=None),
        request(Content_Length="+24"),
        request(Content_Length="24, 24"),
        request(content_length="24"),
        request(Transfer_Encoding="chunked"),
        request(Expect="100-continue"),
        request(Connection="close"),
        request(Upgrade="h2c"),
        request(Host="x\r\nBad Name: x"),
        request(Folded="x\r\n y"),
        request(BODY + b"P"),
        request(BODY) + request(BODY),
        request()[:40],
        request().replace(b"\r\n", b"\n"),
        b"",
    ],
)
def test_whatever_is_not_plain_is_for_the_parser(full: Flask, data: bytes) -> None:
    assert full.extensions["glance"].refusal(data) is None


def test_while_there_are_slots_nobody_is_refused_at_a_glance(app: Flask) -> None:
    assert app.extensions["glance"].refusal(request()) is None


def test_a_plate_or_a_key_as_an_id_is_not_repeated(full: Flask) -> None:
    for secret in (KEY, "A939HO196"):
        refusal = full.extensions["glance"].refusal(request(X_Request_Id=secret))
        assert refusal is not None
        assert secret.encode() not in refusal.reply


def test_a_body_that_has_not_come_yet_need_not_be_read_to_be_refused(full: Flask) -> None:
    whole = request(BODY + b" " * 1000, Content_Length=str(len(BODY) + 1000))
    head = whole.index(b"\r\n\r\n") + 4
    for came in (head, head + 1, len(whole) - 1):
        refusal = full.extensions["glance"].refusal(whole[:came])
        assert refusal is not None
        assert refusal.missing == len(whole) - came


def test_a_body_too_long_to_be_read_for_nothing_is_for_the_parser(full: Flask) -> None:
    assert full.extensions["glance"].refusal(request(Content_Length="70000")) is None
