"""The client for coroutines: retries, deadlines, connections; and the real service's replies."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from client import AsyncClient, Client, Refused, Unreachable
from loadgen.common.processes import free_port
from tests.support.paths import GOLDEN, lines
from tests.support.pictures import file_of, five
from tests.support.scripted import CUT, Scripted, Told, scripted
from tests.support.server import KEY, Server, serving
from tests.support.web_server import web_serving

pytestmark = pytest.mark.anyio

_ROWS = [line["request"] for line in lines(GOLDEN)]
_BUSY = Told(429, b'{"body":"too many","status":"fail"}', (("Retry-After", "7"),))
_AWAY = Told(503, b'{"body":"not ready","status":"fail"}')


class Pauses(list[float]):
    """The pauses between tries, which take no time here."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def _client(server: Scripted, pauses: Pauses, **more: Any) -> AsyncClient:
    return AsyncClient(KEY, server.url, sleep=pauses, **more)


async def test_it_comes_again_when_retry_after_says(pauses: Pauses) -> None:
    with scripted(CUT, _BUSY) as server:
        async with _client(server, pauses) as client:
            assert await client.score({}, detail=True) == "ok"
    assert 0.125 <= pauses[0] <= 0.25
    assert pauses[1:] == [7.0]
    assert [one.path for one in server.got] == ["/reg/?detail=1"] * 3
    assert {one.headers["x-api-key"] for one in server.got} == {KEY}


@pytest.mark.parametrize("status", [400, 401, 404, 413])
async def test_what_can_not_pass_is_not_sent_again(status: int, pauses: Pauses) -> None:
    with scripted(Told(status, b'{"body":"wrong","status":"fail"}')) as server:
        async with _client(server, pauses) as client:
            with pytest.raises(Refused, match="wrong"):
                await client.score({})
    assert (len(server.got), pauses) == (1, [])


async def test_it_gives_up_after_its_tries_and_at_its_deadline(pauses: Pauses) -> None:
    with scripted(*[_AWAY] * 3, _BUSY) as server:
        async with _client(server, pauses, tries=3) as client:
            with pytest.raises(Refused, match="not ready"):
                await client.score({})
            with pytest.raises(Refused, match="too many"):
                await client.score({}, timeout=5)
    assert (len(server.got), len(pauses)) == (4, 2)
    assert 1 <= int(server.got[3].headers["x-request-timeout-ms"]) <= 5000


async def test_connections_are_used_again_and_bounded(pauses: Pauses) -> None:
    with scripted() as server:
        async with _client(server, pauses, connections=3) as client:
            replies = await asyncio.gather(*(client.score({}) for _ in range(30)))
    assert replies == ["ok"] * 30
    assert len({one.connection for one in server.got}) <= 3


async def test_a_connection_that_ended_while_idle_costs_no_try(pauses: Pauses) -> None:
    with scripted(Told(keeps=False), Told()) as server:
        async with _client(server, pauses) as client:
            for _ in range(3):
                assert await client.score({}) == "ok"
    assert (len(server.got), pauses) == (3, [])


async def test_nothing_there_is_unreachable_and_holds_no_key(pauses: Pauses) -> None:
    with scripted() as server:
        client = _client(server, pauses, tries=2)
    with pytest.raises(Unreachable) as away:
        await client.score(_ROWS[0])
    assert KEY not in str(away.value)
    assert len(pauses) == 1


@pytest.mark.parametrize("key", ["a\r\nX-Other: b", "клей"])
async def test_a_key_can_not_begin_another_header(key: str) -> None:
    with pytest.raises(ValueError, match="header"):
        AsyncClient(key, "http://127.0.0.1:1")


_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _listening(handle: _Handler) -> AsyncIterator[str]:
    """The address of a server whose connections are handled so, and have all ended at the end."""
    tasks: set[asyncio.Task[Any] | None] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await asyncio.gather(*filter(None, tasks))


def _replying(reply: bytes, *, stays: bool = False) -> _Handler:
    """A handler that says this and, unless it stays, ends the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        if stays:
            await reader.read()

    return handle


async def _asked(reply: bytes, *, stays: bool = False, **more: Any) -> Any:
    handle = _replying(reply, stays=stays)
    async with _listening(handle) as url, AsyncClient(KEY, url, tries=1) as client:
        return await client.score({}, **more)


_OK = b'{"body":"ok"}'


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + _OK,
        b"HTTP/1.1 200 OK\r\n\r\n" + _OK,
        b"HTTP/1.0 200\r\nConnection: close\r\n\r\n" + _OK,
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + _OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"6;a=b\r\n" + _OK[:6] + b"\r\n7\r\n" + _OK[6:] + b"\r\n0\r\nX: y\r\n\r\n",
    ],
)
async def test_bodies_of_each_kind_are_read(reply: bytes) -> None:
    assert await _asked(reply) == "ok"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + _OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + _OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999,
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    ],
)
async def test_what_is_no_reply_is_unreachable(
    reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a library in the process of a caller does, for all of it.
    monkeypatch.setattr("http.client._MAXHEADERS", 10_000)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1: "):
        await _asked(reply)


async def test_a_reply_that_does_not_end_ends_at_the_deadline() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + _OK
    with pytest.raises(Unreachable, match="timed out"):
        await _asked(endless, stays=True, timeout=0.2)


async def test_a_call_that_is_cancelled_ends_its_connection() -> None:
    asked = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()  # until it has ended

    async with _listening(handle) as url, AsyncClient(KEY, url) as client:
        call = asyncio.create_task(client.score({}))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_lists_are_followed_from_page_to_page(pauses: Pauses) -> None:
    def page(first: int, link: str = "") -> Told:
        shown = [{"prediction": first}, {"prediction": first + 1}]
        more = (("Link", f'<{link}>; rel="next"'),) if link else ()
        return Told(body=json.dumps(shown).encode(), headers=more)

    following = "/v1/inference?after=b&limit=2"
    with scripted(page(1, following), page(3)) as server:
        async with _client(server, pauses) as client:
            assert [one["prediction"] async for one in client.classified(limit=3)] == [1, 2, 3]
    assert [one.path for one in server.got] == ["/v1/inference?limit=3", following]


# The real service.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    address = {"host": "127.0.0.1", "port": str(free_port()), "workers": "1"}
    with serving(tmp_path_factory.mktemp("server"), **address) as server:
        yield server


@pytest.mark.slow
async def test_it_gets_what_the_other_client_gets(server: Server) -> None:
    with Client(KEY, server.url) as other:
        expected = [other.score(row)["positive"] for row in _ROWS[:20]]
    async with AsyncClient(KEY, server.url, connections=8) as client:
        scores = await asyncio.gather(*(client.score(row) for row in _ROWS[:20]))
        assert [score["positive"] for score in scores] == expected
        explained = await client.explain(_ROWS[0])
        assert explained["positive"] == expected[0]
        (model,) = await client.models()
        assert (model.name, model.state) == ("regno", "READY")


@pytest.mark.slow
async def test_pictures_are_asked_about(tmp_path: Path) -> None:
    picture = file_of(five(), "PNG")
    with web_serving(tmp_path) as web:
        async with AsyncClient(KEY, web.url) as client:
            assert (await client.classify(picture, "five.png"))["prediction"] == 5
            assert (await client.query(picture, "cat?"))["answer"] is False
            assert [one["prediction"] async for one in client.classified()] == [5]
