"""Bodies that nobody wants, that never come or come late, hold nobody up."""

import socket
import time

import pytest

from tests.live.support import head
from tests.support.server import Server
from tests.support.strategies import VALID

_LONG = 15_000_000


def _refused(live: Server) -> bytes:
    stated = (
        b"POST /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: no\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % _LONG
    )
    reply = b""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(live.socket))
        client.sendall(stated + b"x" * _LONG)
        while piece := client.recv(65536):
            reply += piece
    return reply


def test_a_long_body_with_a_wrong_key_gets_its_answer_and_an_end(live: Server) -> None:
    reply = _refused(live)
    assert reply.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close\r\n" in reply


@pytest.mark.slow
def test_a_body_that_does_not_come_ends_in_a_408(live: Server) -> None:
    stated = (
        b"POST /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: 123321\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(live.socket))
        client.sendall(stated)
        reply = client.recv(65536)
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert client.recv(1) == b""


@pytest.mark.parametrize("body", [VALID, b"[" + b",".join([VALID] * 10) + b"]"])
def test_a_body_that_takes_longer_than_a_request_may_wait_is_scored(
    live: Server, body: bytes
) -> None:
    with live.connect() as client:
        client.sendall(head(len(body)) + body[:10])
        time.sleep(0.5)  # SCORING_MAX_WAIT_MS is 150
        client.sendall(body[10:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
