"""Requests that no valid client sends get a 4xx quickly, and the workers survive."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.live import assert_refused_by_service, exchange, posted
from tests.support.messages import mentions
from tests.support.server import KEY, Server
from tests.support.strategies import VALID

_HEAD = (
    "POST /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: " + KEY + "\r\nContent-Type: application/json\r\n"
).encode()
_MEGABYTES = 5 * 1024 * 1024


@pytest.fixture(autouse=True)
def _workers_live(live: Server, http: httpx.Client) -> Iterator[None]:
    before = live.pids()
    yield
    assert live.pids() == before, "no worker was lost"
    assert http.post("/reg/", content=VALID, headers=_JSON).status_code == 200


_JSON = {"Content-Type": "application/json"}


def _status(reply: bytes) -> int:
    assert reply.startswith(b"HTTP/1.1 "), reply[:100]
    return int(reply.split(b" ", 2)[1])


def _envelope(reply: bytes) -> dict[str, str]:
    envelope: dict[str, str] = json.loads(reply.partition(b"\r\n\r\n")[2])
    return envelope


def _reply(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection, or of the first reply."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
        head, ended, body = received.partition(b"\r\n\r\n")
        if ended:
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            if len(body) >= length:
                break
    return received


def _send(live: Server, *pieces: bytes, half_close: bool = False) -> bytes:
    with live.connect() as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already, and reads no more
        return _reply(connection)


@pytest.mark.parametrize(
    "body",
    [
        VALID + b" " * (_MEGABYTES - len(VALID)),
        b'"' + b"x" * _MEGABYTES + b'"',
        b"{" * _MEGABYTES,
        b"1" * _MEGABYTES,
        b"[" * _MEGABYTES,
        b'{"a":' * (_MEGABYTES // 5),
        b"[" + b"[]," * (_MEGABYTES // 3) + b"1]",
        b"[" + b'"{",' * (_MEGABYTES // 4) + b"1]",
        b'"' + b"\\u005b" * (_MEGABYTES // 6) + b'"',
    ],
    ids=[
        "blanks",
        "text",
        "braces",
        "number",
        "deep",
        "deep objects",
        "rows",
        "texts",
        "escapes",
    ],
)
def test_five_megabytes_are_refused(body: bytes, http: httpx.Client) -> None:
    reply = http.post("/reg/", content=body, headers=_JSON)
    assert reply.status_code in {400, 413}
    assert reply.json()["status"] == "fail"
    assert len(reply.content) < 1000


def test_a_row_of_five_megabytes_is_that_rows_error(http: httpx.Client) -> None:
    body = b"[" + b"1" * _MEGABYTES + b"," + VALID + b"]"
    reply = http.post("/reg/", content=body, headers=_JSON).json()
    assert reply["status"] == "partial"
    assert set(reply["body"][0]) == {"error"}
    assert set(reply["body"][1]) == {"negative", "positive"}


def test_a_body_longer_than_any_limit_is_refused_before_it_is_sent(live: Server) -> None:
    reply = _send(live, _HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert _status(reply) == 413
    assert _envelope(reply)["status"] == "fail"


def test_many_rows_with_new_categories_are_answered_in_time(http: httpx.Client) -> None:
    row = json.loads(VALID)
    rows = [{**row, "camera_class": f"new {number}"} for number in range(2000)]
    reply = http.post("/reg/", json=rows)
    assert reply.status_code == 200
    assert len(reply.json()["body"]) == 2000


_FIELD = b'"camera_type": "'
_NUMBER = b'"recognition_accuracy": '


def _spoilt(at: bytes, put: bytes) -> bytes:
    assert VALID.count(at) == 1
    return VALID.replace(at, put)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf" * 2 + VALID,
        VALID + VALID,
        VALID[:-1],
        _spoilt(_NUMBER, _NUMBER + b"1, " + _NUMBER),
        VALID[:-1] + b', "x": 1, "x": 2}',
        _spoilt(_FIELD, _FIELD + b"\\ud800"),
        _spoilt(_FIELD, _FIELD + b"\\udc00\\ud800"),
        _spoilt(_NUMBER, _NUMBER + b"1e999, " + b'"x": '),
        _spoilt(_NUMBER, _NUMBER + b'"1e999", ' + b'"x": '),
        _spoilt(_NUMBER, _NUMBER + b"-1e999, " + b'"x": '),
        _spoilt(_NUMBER, _NUMBER + b"NaN, " + b'"x": '),
        _spoilt(_NUMBER, _NUMBER + b"Infinity, " + b'"x": '),
        _spoilt(_NUMBER, _NUMBER + b"1" * 5000 + b', "x": '),
        _spoilt(_FIELD, b'"x": ' + b"[" * 20_000 + b"]" * 20_000 + b", " + _FIELD),
        _spoilt(_FIELD, b'"x": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b", " + _FIELD),
        _spoilt(_NUMBER, _NUMBER + b"[" * 20_000 + b"]" * 20_000 + b', "x": '),
        b"[" * 20_000 + b"]" * 20_000,
        b"[" * 500_000,
        json.dumps("[" * 30_000).encode(),
    ],
    ids=lambda body: repr(body[:20] + b".." + body[-20:]) + str(len(body)),
)
def test_a_body_that_is_no_request_is_a_400(body: bytes, live: Server) -> None:
    assert_refused_by_service(exchange(live, posted(body)))
    assert exchange(live, posted(body)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        *(b"\x00", b"\xff\xfe", VALID.decode().encode("utf-16"), VALID.decode().encode("cp1251")),
        *(_spoilt(_FIELD, _FIELD + b"\xed\xa0\x80"), _spoilt(_FIELD, _FIELD + b"\xff")),
    ],
    ids=lambda body: repr(body[:20] + b".." + body[-20:]) + str(len(body)),
)
def test_a_body_in_another_encoding_is_a_415(body: bytes, live: Server) -> None:
    reply = exchange(live, posted(body))
    assert_refused_by_service(reply)
    assert reply.status == 415
    assert mentions(reply.json()["body"], "body", "UTF-8")


def test_the_unread_body_of_a_refused_request_is_no_second_request(live: Server) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    refused = posted(smuggled).replace(f"x-api-key: {KEY}".encode(), b"x-api-key: no")
    with live.connect() as connection:
        connection.sendall(refused)
        assert _status(_reply(connection)) == 401
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = _reply(connection)
        assert reply == b"" or _status(reply) == 404


@pytest.mark.parametrize("sent", [0, 1, 100, len(VALID) - 1])
def test_a_truncated_body_is_a_400(sent: int, live: Server) -> None:
    head = _HEAD + b"Content-Length: %d\r\n\r\n" % len(VALID)
    reply = _send(live, head + VALID[:sent], half_close=True)
    assert _status(reply) == 400
    assert _envelope(reply)["status"] == "fail"


def test_a_client_that_disconnects_harms_no_other(live: Server) -> None:
    for cut in (10, len(_HEAD), len(_HEAD) + 40):
        with live.connect() as connection:
            connection.sendall((_HEAD + b"Content-Length: 900\r\n\r\n" + VALID)[:cut])
    assert _status(_send(live, _HEAD + b"Content-Length: %d\r\n\r\n" % len(VALID), VALID)) == 200


def _chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_a_chunked_body_is_read(live: Server) -> None:
    body = _chunks(VALID[:7], VALID[7:500], VALID[500:])
    reply = _send(live, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", body)
    assert _status(reply) == 200
    assert _envelope(reply)["status"] == "ok"


def test_a_chunked_body_over_the_limit_is_refused(live: Server) -> None:
    piece = b" " * 65536
    body = _chunks(*[piece] * (17 * 16))
    reply = _send(live, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", body)
    assert _status(reply) == 413


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-1\r\n{}\r\n0\r\n\r\n",
        b"5\r\n{}\r\n",
        b"ffffffffffffffff\r\n{}\r\n",
        b"2\r\n{}",
        b"\r\n",
        b"2\r\n{}xx0\r\n\r\n",
    ],
)
def test_broken_chunks_are_a_400(body: bytes, live: Server) -> None:
    head = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert _status(_send(live, head + body, half_close=True)) == 400


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 2000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"{}" * 40000,
    ],
    ids=lambda request: repr(request[:40]),
)
def test_bytes_that_are_no_http_get_a_4xx(request_: bytes, live: Server) -> None:
    reply = _send(live, request_, half_close=True)
    assert 400 <= _status(reply) < 500
    assert _envelope(reply)["status"] == "fail"
    assert b"X-Request-Id: " in reply
    assert b"X-Model-Version: " in reply


def test_a_plate_in_what_is_no_http_is_neither_echoed_nor_logged(live: Server) -> None:
    reply = _send(live, "X777XX799 /А939НО196 X777XX799\r\n\r\n".encode(), half_close=True)
    assert 400 <= _status(reply) < 500
    assert b"X777XX799" not in reply
    assert "X777XX799" not in live.output() + live.errors()


@pytest.mark.parametrize(
    "hostile", [b"a b", b'","level":"error', b"%0d%0a", "А939".encode(), b"a\tb"]
)
def test_a_hostile_request_id_reaches_neither_reply_nor_log(hostile: bytes, live: Server) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + hostile + b"\r\n\r\n"
    reply = _send(live, request)
    assert _status(reply) == 200
    assert hostile not in reply
    assert all(isinstance(line, dict) for line in live.log()), "each line is whole"
    assert hostile.decode() not in live.output()


def test_two_requests_in_one_piece_are_both_answered(live: Server) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with live.connect() as connection:
        connection.sendall(one + one)
        received = b""
        while received.count(b'"status":"ok"') < 2:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    assert received.count(b"HTTP/1.1 200 ") == 2
