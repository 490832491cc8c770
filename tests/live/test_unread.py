"""Unwanted, missing and late bodies delay no other client."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import NamedTuple

import pytest

from loadgen.common.processes import free_port
from tests.support.live import head
from tests.support.load import flooding
from tests.support.server import Server, serving
from tests.support.strategies import VALID

_LONG = 15_000_000
_BODY_SECONDS = 20
_FAR_TOO_LONG = 60


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


class _End(NamedTuple):
    """What a connection got back until its end, and after how long."""

    reply: bytes
    seconds: float


@pytest.fixture(scope="module")
def ends(live: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, _End]:
    """How slow bodies end, all waited for at once."""
    rows = b"[" + b",".join([VALID] * 60) + b"]"
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with (
        serving(tmp_path_factory.mktemp("busy"), **address, max_waiting="0") as busy,
        ExitStack() as stack,
    ):
        with flooding(busy.port, 1e6, 64, body=rows):
            refused = stack.enter_context(_refused_early(busy, len(rows)))
        silent, whole, chunked = (stack.enter_context(live.connect()) for _ in range(3))
        silent.sendall(head(100) + b"{")
        whole.sendall(head(1000))
        chunked.sendall(head(None, "Transfer-Encoding: chunked"))
        sent = {
            "silent": (silent, b""),
            "whole": (whole, b" "),
            "chunked": (chunked, b"1\r\n \r\n"),
            "refused": (refused, b" "),
        }
        with ThreadPoolExecutor() as pool:
            return dict(zip(sent, pool.map(_drip, *zip(*sent.values(), strict=True)), strict=True))


def _drip(client: socket.socket, piece: bytes) -> _End:
    """Send a piece twice a second while it is taken."""
    client.settimeout(0.5)
    began, reply = time.monotonic(), b""
    while time.monotonic() < began + _FAR_TOO_LONG:
        try:
            client.sendall(piece)
            came = client.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if not came:
            break
        reply += came
    return _End(reply, time.monotonic() - began)


@pytest.mark.slow
def test_a_body_that_does_not_come_ends_in_a_408(ends: dict[str, _End]) -> None:
    assert ends["silent"].reply.startswith(b"HTTP/1.1 408 ")
    assert ends["silent"].seconds < _FAR_TOO_LONG


@pytest.mark.slow
@pytest.mark.parametrize("form", ["whole", "chunked"])
def test_a_body_that_only_drips_has_no_longer(ends: dict[str, _End], form: str) -> None:
    """A piece now and then is never a pause: it is the whole body that has its time."""
    assert ends[form].reply.startswith(b"HTTP/1.1 408 ")
    assert _BODY_SECONDS - 1 <= ends[form].seconds < _FAR_TOO_LONG


@pytest.mark.slow
def test_a_refused_body_that_only_drips_has_no_longer(ends: dict[str, _End]) -> None:
    assert _BODY_SECONDS - 1 <= ends["refused"].seconds < _FAR_TOO_LONG


def _refused_early(server: Server, length: int) -> socket.socket:
    """A connection that got its 429 before it had sent the body."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        client = server.connect()
        client.settimeout(1)
        client.sendall(head(length) + b"[")
        with suppress(TimeoutError):
            if client.recv(65536).startswith(b"HTTP/1.1 429 "):
                return client
        client.close()
    pytest.fail("no request was refused by its head")


@pytest.mark.parametrize("body", [VALID, b"[" + b",".join([VALID] * 10) + b"]"])
def test_a_body_that_takes_longer_than_a_request_may_wait_is_scored(
    live: Server, body: bytes
) -> None:
    with live.connect() as client:
        client.sendall(head(len(body)) + body[:10])
        time.sleep(0.5)  # SCORING_MAX_WAIT_MS is 150
        client.sendall(body[10:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
