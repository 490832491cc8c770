"""Request bodies at the edge: none without a key, few large ones at a time, within their folder."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest

from tests.support.echo import Echo, Received, Say, echoing
from tests.support.edge import Edge, assert_refused_by_edge, edge_before
from tests.support.messages import mentions
from tests.support.planted import KEY
from tests.support.reply import Reply
from tests.support.server import KEY_HEADER, Server, eventually
from tests.support.strategies import VALID

_NO_KEY = "x-api-key"
_LARGE = 16 * 1024 * 1024


def _head(length: int, *lines: str, method: str = "POST", path: str = "/reg/") -> bytes:
    stated = f"Content-Length: {length}"
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", stated, *lines, "", "")).encode()


def _answer(connection: socket.socket) -> Reply:
    response = HTTPResponse(connection)
    response.begin()
    return Reply.of(response)


@contextmanager
def _sent(edge: Edge, *pieces: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", edge.port), 20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        yield connection


@pytest.mark.parametrize("path", ["/", "/reg", "/reg/", "/reg/?detail=1", "/reg/explain"])
@pytest.mark.parametrize("key", [(), ("x-api-key:",), ("x-api-key: \t ",)])
def test_without_a_key_no_body_is_waited_for(
    path: str, key: tuple[str, ...], bare: Edge, echo: Echo
) -> None:
    with _sent(bare, _head(1000, *key, path=path)) as connection:
        refused = _answer(connection)
    assert_refused_by_edge(refused, 401, _NO_KEY)
    assert refused.all("WWW-Authenticate") == ['ApiKey header="x-api-key"']
    assert echo.received == []
    eventually(lambda: len(bare.log()) == 1, "it is logged")
    [line] = bare.log()
    assert (line["status"], line["address"]) == (401, "127.0.0.1")
    assert mentions(line["reason"], _NO_KEY)


@pytest.mark.parametrize("path", ["/model/promote", "/model/rollback", "/model/shadow"])
def test_a_body_for_admins_without_a_key_is_refused_unread(
    path: str, bare: Edge, echo: Echo
) -> None:
    with _sent(bare, _head(1000, path=path)) as connection:
        assert_refused_by_edge(_answer(connection), 401, _NO_KEY)
    assert echo.received == []


def test_a_wrong_key_is_refused_before_a_large_body(edge: Edge, service: Server) -> None:
    with _sent(edge, _head(_LARGE, "x-api-key: wrong"), b"[") as connection:
        refused = _answer(connection)
    assert_refused_by_edge(refused, 401, _NO_KEY)
    assert refused.all("WWW-Authenticate") == ['ApiKey header="x-api-key"']
    assert _spooled(edge) == []
    chunked = (
        b"POST /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: wrong\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with _sent(edge, chunked) as connection:
        assert_refused_by_edge(_answer(connection), 401, _NO_KEY)
    assert '"status":413' not in service.output()


def test_a_small_body_goes_with_its_key(bare: Edge, echo: Echo) -> None:
    """One request more for each would be too dear: the service refuses it as soon as it has it."""
    body = b" " * 99_999
    assert bare.ask("POST", "/reg/", body, {"x-api-key": "k"}).status == 200
    assert [(got.method, got.path, len(got.body)) for got in echo.received] == [
        ("POST", "/reg/", 99_999),
    ]


def test_the_key_of_a_large_body_is_checked_before_the_body_is_passed_on(
    bare: Edge, echo: Echo
) -> None:
    headers = {"x-api-key": "\tk ", "X-Forwarded-For": "1.2.3.4", "Cookie": "c", "X-Other": "o"}
    assert bare.ask("POST", "/reg/?detail=1", b" " * 100_000, headers).status == 200
    check, passed = echo.received
    assert (check.method, check.path, check.body) == ("GET", "/", b"")
    assert {name.lower(): value for name, value in check.headers.items()} == {
        "host": "127.0.0.1",
        "x-api-key": "k",
        "x-forwarded-for": "127.0.0.1",
        "x-request-id": passed.headers["X-Request-Id"],
    }
    assert (passed.method, passed.path, len(passed.body)) == ("POST", "/reg/?detail=1", 100_000)


_TROUBLE: dict[str, Say] = {
    **{str(status): (status, {}, b"{}") for status in (400, 403, 405, 429, 500, 503)},
    "broken": None,
}


@pytest.mark.parametrize("trouble", _TROUBLE)
def test_what_is_no_answer_on_the_key_lets_the_body_pass(
    trouble: str, bare: Edge, echo: Echo
) -> None:
    def answer(received: Received) -> Say:
        return _TROUBLE[trouble] if received.method == "GET" else (200, {}, b"scored")

    echo.answer = answer
    reply = bare.ask("POST", "/reg/", b" " * 100_000, {"x-api-key": "k"})
    assert (reply.status, reply.body) == (200, b"scored")


@contextmanager
def _held(edge: Edge, *senders: tuple[str, str]) -> Iterator[None]:
    """Large bodies that do not come to their end, of a key and from an address each."""
    with ExitStack() as opened:
        for key, address in senders:
            lines = (f"x-api-key: {key}", f"X-Forwarded-For: {address}")
            opened.enter_context(_sent(edge, _head(_LARGE, *lines), b"[" * 200_000))
        eventually(lambda: len(_spooled(edge)) == len(senders), "all lie in the folder")
        yield
    eventually(lambda: _spooled(edge) == [], "all are gone")


def _spooled(edge: Edge) -> list[int]:
    """The sizes of what lies in its folder: nginx opens a file and removes its name at once."""
    sizes = []
    for worker in psutil.Process(edge.process.pid).children():
        for link in Path(f"/proc/{worker.pid}/fd").iterdir():
            with suppress(OSError):  # it may be closed meanwhile
                if str(link.readlink()).startswith(f"{edge.workdir}/"):
                    sizes.append(link.stat().st_size)
    return sizes


def _large(edge: Edge, key: str, address: str) -> Reply:
    headers = {"x-api-key": key, "X-Forwarded-For": address}
    return edge.ask("POST", "/reg/", b" " * 100_000, headers)


@pytest.fixture
def narrow(echo: Echo, tmp_path: Path) -> Iterator[Edge]:
    """An edge with four places for large requests, behind a balancer that names its clients."""
    settings = {"large_requests": "4", "trusted_proxies": "127.0.0.1"}
    with edge_before(tmp_path / "edge", echo.port, **settings) as edge:
        yield edge


def test_one_key_holds_half_of_the_places_for_large_bodies(narrow: Edge) -> None:
    with _held(narrow, ("greedy", "10.0.0.1"), ("greedy", "10.0.0.2")):
        full = _large(narrow, "greedy", "10.0.0.3")
        assert_refused_by_edge(full, 429, "too many requests")
        assert full.all("Retry-After")[0] in {"1", "2", "3"}
        assert _large(narrow, "modest", "10.0.0.3").status == 200
        assert narrow.ask("POST", "/reg/", VALID, {"x-api-key": "greedy"}).status == 200
    assert _large(narrow, "greedy", "10.0.0.1").status == 200


def test_one_address_holds_half_of_them_too(narrow: Edge) -> None:
    with _held(narrow, ("a", "10.0.0.1"), ("b", "10.0.0.1")):
        assert_refused_by_edge(_large(narrow, "c", "10.0.0.1"), 429, "too many requests")
        assert _large(narrow, "c", "10.0.0.2").status == 200


def test_all_of_them_hold_what_fits_and_small_ones_go_on(narrow: Edge) -> None:
    senders = [("a", "10.0.0.1"), ("a", "10.0.0.2"), ("b", "10.0.0.1"), ("b", "10.0.0.2")]
    with _held(narrow, *senders):
        assert_refused_by_edge(_large(narrow, "c", "10.0.0.3"), 429, "too many requests")
        for _ in range(5):
            assert narrow.ask("POST", "/reg/", VALID, {"x-api-key": "c"}).status == 200


def test_a_wrong_key_gives_its_place_back(service: Server, tmp_path: Path) -> None:
    """The rest of its body is read for some seconds, that its client sees why; not for ever."""
    with (
        edge_before(tmp_path / "edge", service.port, large_requests="2") as narrow,
        ExitStack() as s,
    ):
        slow = s.enter_context(_sent(narrow, _head(_LARGE, "x-api-key: wrong"), b"["))
        assert_refused_by_edge(_answer(slow), 401, _NO_KEY)

        def freed() -> bool:
            return narrow.ask("POST", "/reg/", b"[" * 100_000).status == 400

        eventually(freed, "a large body is taken again", 20)


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/reg/", _LARGE), ("/reg", _LARGE), ("/model/promote", 8192), ("/", 1024), ("/docs/", 1024)],
)
def test_each_address_takes_no_longer_bodies_than_it_needs(
    path: str, limit: int, bare: Edge, echo: Echo
) -> None:
    with _sent(bare, _head(limit + 1, f"x-api-key: {KEY}", path=path)) as connection:
        assert_refused_by_edge(_answer(connection), 413, f"{limit} bytes")
    assert echo.received == []


def test_a_full_folder_refuses_large_bodies_only(bare: Edge, echo: Echo) -> None:
    # Not every machine can fill a folder; a missing one fails nginx in the same place.
    shutil.rmtree(bare.workdir / "body")
    for _ in range(2):
        refused = bare.ask("POST", "/reg/", b" " * 200_000, {"x-api-key": "k"})
        assert_refused_by_edge(refused, 503, "no room")
        assert refused.all("Retry-After")[0] in {"1", "2", "3"}
    assert bare.ask("POST", "/reg/", VALID, {"x-api-key": "k"}).status == 200
    eventually(lambda: len(bare.log()) == 2, "both are logged")
    for line in bare.log():
        assert (line["status"], line["upstream"]) == (503, "")
        assert mentions(line["reason"], "no room")
    assert [received.method for received in echo.received] == ["GET", "GET", "POST"]


def test_a_client_that_half_closes_its_connection_gets_the_reply(edge: Edge) -> None:
    body = VALID
    head = _head(len(body), "x-api-key: 123321", "Content-Type: application/json")
    with _sent(edge, head + body) as connection:
        connection.shutdown(socket.SHUT_WR)
        reply = _answer(connection)
    assert reply.status == 200
    assert reply.json()["status"] == "ok"


def test_slow_readers_of_a_public_page_hold_little(tmp_path: Path) -> None:
    """It needs no key: of sixteen at once two megabytes each may lie in the folder."""
    with echoing() as echo, ExitStack() as opened:
        echo.answer = lambda _: (200, {}, b"x" * 12_000_000)
        with edge_before(tmp_path / "edge", echo.port) as edge:
            for _ in range(20):
                slow = opened.enter_context(socket.socket())
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.settimeout(20)
                slow.connect(("127.0.0.1", edge.port))
                slow.sendall(b"GET /docs/ui.js HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: len(echo.received) == 16, "sixteen are served")
            eventually(lambda: len(edge.log()) == 4, "the others are refused")
            assert {line["status"] for line in edge.log()} == {429}
            eventually(lambda: max(_spooled(edge), default=0) > 1_000_000, "replies lie there")
            assert max(_spooled(edge)) <= 2 * 2**20
            assert len(_spooled(edge)) <= 16


def test_the_example_key_is_no_key_for_other_machines(service: Server, tmp_path: Path) -> None:
    """The edge connects from loopback, whatever the client's address."""
    with edge_before(tmp_path / "edge", service.port, trusted_proxies="127.0.0.1") as edge:
        for address, status in (("203.0.113.9", 401), ("2001:db8::1", 401), ("127.0.0.1", 200)):
            headers = {**KEY_HEADER, "X-Forwarded-For": address}
            assert edge.ask("GET", "/", headers=headers).status == status
            assert edge.ask("POST", "/reg/", VALID, headers).status == status
        eventually(lambda: len(edge.log()) == 4, "each refusal is logged")
        logged = {(line["address"], line["status"], line["upstream_status"]) for line in edge.log()}
        assert logged == {("203.0.113.9", 401, "401"), ("2001:db8::1", 401, "401")}


def test_key_guesses_are_limited_by_the_forwarded_address(service: Server, tmp_path: Path) -> None:
    with edge_before(tmp_path / "edge", service.port, trusted_proxies="127.0.0.1") as edge:

        def ask(key: str, address: str) -> int:
            headers = {"x-api-key": key, "X-Forwarded-For": f"9.9.9.9, {address}"}
            return edge.ask("POST", "/reg/", VALID, headers).status

        tried = [ask(f"wrong-{number}", "198.51.100.7") for number in range(60)]
        assert tried[:20] == [401] * 20
        assert 429 in tried[20:]
        assert ask("wrong", "198.51.100.8") == 401


_ADMIN = ("/model", "/model/versions", "/model/history")
_CHANGES = ("/model/promote", "/model/rollback", "/model/shadow")
_DOCS = ("/docs", "/docs/", "/docs/x.js", "/openapi.json")


@pytest.mark.parametrize(
    ("settings", "admins", "readers"),
    [
        ({}, {"127.0.0.1"}, {"127.0.0.1", "10.1.2.3", "192.168.7.7", "fd00::7"}),
        ({"admin_addresses": "203.0.113.0/24", "docs_addresses": "none"}, {"203.0.113.9"}, set()),
        ({"admin_addresses": "none", "docs_addresses": "all"}, set(), None),
    ],
)
def test_the_model_and_the_documentation_are_for_some_addresses_only(
    settings: dict[str, str],
    admins: set[str],
    readers: set[str] | None,
    echo: Echo,
    tmp_path: Path,
) -> None:
    addresses = {"127.0.0.1", "10.1.2.3", "192.168.7.7", "fd00::7", "203.0.113.9", "2001:db8::1"}
    trusting = {**settings, "trusted_proxies": "127.0.0.1"}
    with edge_before(tmp_path / "edge", echo.port, **trusting) as edge:
        for address in addresses:
            headers = {"x-api-key": "k", "X-Forwarded-For": address}
            for allowed, method, paths in (
                (admins, "GET", _ADMIN),
                (admins, "POST", _CHANGES),
                (addresses if readers is None else readers, "GET", _DOCS),
            ):
                for path in paths:
                    reply = edge.ask(method, path, headers=headers)
                    assert reply.status == (200 if address in allowed else 404), (address, path)
            assert edge.ask("POST", "/reg/", VALID, headers).status == 200
