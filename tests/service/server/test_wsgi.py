"""A WSGI app as an endpoint: what it is given, what is made of its replies, in bounded threads."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Event, Lock, get_ident
from typing import TYPE_CHECKING, Any

import pytest

from service.http.reply import Reply, fail
from service.server.iteration import WorkQueue
from service.server.site import Budget, Events, Site
from service.server.wsgi import ThreadedWsgiEndpoint, WsgiEndpoint
from service.telemetry.record import BEGAN, ENVIRON_KEY, Record
from tests.support.connections import Client, connected, until
from tests.support.messages import mentions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.anyio

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class App:
    """A WSGI app that does as a test says, and notes what it was given."""

    def __init__(self) -> None:
        self.environs: list[WSGIEnvironment] = []
        self.threads: set[int] = set()
        self.body: Iterable[bytes] = [b"well"]
        self.status = "200 OK"
        self.headers: list[tuple[str, str]] = [("Content-Type", "text/plain")]
        self.may_go_on = Event()
        self.may_go_on.set()
        self.running = self.most = 0
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        with self._lock:
            self.environs.append(environ)
            self.threads.add(get_ident())
            self.running += 1
            self.most = max(self.most, self.running)
        self.may_go_on.wait(20)
        with self._lock:
            self.running -= 1
        start(self.status, self.headers)
        return self.body


class Served:
    """A site of a WSGI app."""

    def __init__(self, app: Any, kind: type[WsgiEndpoint] = WsgiEndpoint, **threads: int) -> None:
        self.failures: list[tuple[str, Record]] = []
        self.answered: list[int] = []
        queue = WorkQueue(0.005).add
        self.endpoint = kind(app, self._failed, 10_000, queue, **threads)
        self.site = Site(
            {},
            lambda _: self.endpoint,
            Budget(1 << 20),
            Events(
                lambda *_: Record("id"),
                lambda: 0,
                lambda requests: self.answered.extend(one.record.status for one in requests),
                lambda error: self.failures.append((type(error).__name__, Record(""))),
            ),
        )

    def _failed(self, error: Exception, environ: "WSGIEnvironment") -> Reply:
        self.failures.append((type(error).__name__, environ[ENVIRON_KEY]))
        return fail(500, "broken")


@pytest.fixture
def app() -> App:
    return App()


@asynccontextmanager
async def clients_of(served: Served, count: int) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(served.site)) for _ in range(count)]


@asynccontextmanager
async def client_of(served: Served) -> AsyncIterator[Client]:
    async with connected(served.site) as client:
        yield client


# What the app is given.


async def test_an_app_is_given_the_request(app: App) -> None:
    served = Served(app)
    async with client_of(served) as client:
        reply = await client.ask(
            b"POST /a%20b%D0%90?c=%20d?e HTTP/1.1\r\nHost: a:80\r\nContent-Type: text/json\r\n"
            b"X-Api-Key: \xd0\x90 1\r\nX_Api_Key: 2\r\nAccept: a\r\naccept: b\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
    assert reply.status == 200
    (environ,) = app.environs
    assert environ["wsgi.input"].read() == b"{}"
    assert isinstance(environ.pop(ENVIRON_KEY), Record)
    assert isinstance(environ.pop(BEGAN), float)
    assert {name: value for name, value in environ.items() if not name.startswith("wsgi.")} == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b\xd0\x90",
        "QUERY_STRING": "c=%20d?e",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "",
        "CONTENT_LENGTH": "2",
        "CONTENT_TYPE": "text/json",
        "HTTP_HOST": "a:80",
        "HTTP_X_API_KEY": "\xd0\x90 1",
        "HTTP_ACCEPT": "a,b",
    }
    assert environ["wsgi.url_scheme"] == "http"


async def test_a_body_in_chunks_has_a_length_for_the_app(app: App) -> None:
    async with client_of(Served(app)) as client:
        await client.ask(
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1\r\nc\r\n0\r\nX: a\r\n\r\n"
        )
    (environ,) = app.environs
    assert (environ["CONTENT_LENGTH"], environ["wsgi.input"].read()) == ("3", b"abc")
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert "HTTP_X" not in environ


async def test_a_request_without_a_body_has_an_empty_one(app: App) -> None:
    async with client_of(Served(app)) as client:
        await client.ask(GET)
    (environ,) = app.environs
    assert environ["CONTENT_LENGTH"] == ""
    assert environ["wsgi.input"].read() == b""
    assert "HTTP_CONTENT_LENGTH" not in environ


async def test_a_body_beyond_the_longest_is_refused(app: App) -> None:
    async with client_of(Served(app)) as client:
        reply = await client.ask(
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10001\r\n\r\n" + b"a" * 10_001
        )
    assert reply.status == 413
    assert mentions(reply.reason, "10000 bytes")
    assert app.environs == []


# What is made of its reply.


async def test_headers_of_the_app_are_sent_but_those_of_the_server(app: App) -> None:
    app.headers = [
        ("Content-Type", "text/plain"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Server", "Other"),
        ("Date", "then"),
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
    ]
    async with client_of(Served(app)) as client:
        reply = await client.ask(GET)
        assert (await client.ask(GET)).status == 200
    named = [name for name, _ in reply.headers]
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert reply.header("server") == "gunicorn"
    assert reply.header("connection") == "keep-alive"
    assert reply.header("content-length") == "4"
    assert "Transfer-Encoding" not in named
    assert "then" not in dict(reply.headers).values()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_what_has_no_body_has_no_length(app: App, status: str) -> None:
    app.status, app.body, app.headers = status, [], []
    async with client_of(Served(app)) as client:
        reply = await client.ask(GET)
        assert reply.status == int(status[:3])
        assert "Content-Length" not in dict(reply.headers)
        assert (await client.ask(GET)).status == reply.status


async def test_a_length_that_the_app_states_is_kept(app: App) -> None:
    app.headers = [("content-length", "4")]
    async with client_of(Served(app)) as client:
        reply = await client.ask(GET)
        assert [value for name, value in reply.headers if name.lower() == "content-length"] == ["4"]
        assert reply.status == 200


class Pieces:
    """A body in pieces, that must be closed."""

    def __init__(self, *, fails: bool = False) -> None:
        self.closed = 0
        self._fails = fails

    def __iter__(self) -> Iterator[bytes]:
        yield b"we"
        if self._fails:
            raise ZeroDivisionError
        yield b"ll"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_body_in_pieces_is_joined_and_closed(app: App, *, fails: bool) -> None:
    app.body = body = Pieces(fails=fails)
    served = Served(app)
    async with client_of(served) as client:
        reply = await client.ask(GET)
    assert body.closed == 1
    assert reply.status == (500 if fails else 200)
    assert (b"well" in reply.body) is not fails
    assert [name for name, _ in served.failures] == ["ZeroDivisionError"] * fails


async def test_an_app_that_fails_is_answered_with_500() -> None:
    def broken(*_: object) -> Iterable[bytes]:
        raise ZeroDivisionError

    for kind, threads in ((WsgiEndpoint, {}), (ThreadedWsgiEndpoint, {"threads": 1, "waiting": 1})):
        served = Served(broken, kind, **threads)
        async with client_of(served) as client:
            reply = await client.ask(GET)
            assert (reply.status, reply.reason) == (500, "broken")
            assert reply.header("connection") == "keep-alive"
        assert [name for name, _ in served.failures] == ["ZeroDivisionError"]
        assert served.failures[0][1].request_id == "id"


# Threads.


def threaded(app: App, threads: int = 2, waiting: int = 3, **more: bool) -> Served:
    return Served(app, ThreadedWsgiEndpoint, threads=threads, waiting=waiting, **more)


async def test_what_may_block_is_called_in_a_thread_while_the_loop_goes_on(app: App) -> None:
    app.may_go_on.clear()
    async with client_of(threaded(app)) as client:
        client.send(GET)
        await until(lambda: app.running)
        app.may_go_on.set()
        assert (await client.reply()).status == 200
    assert get_ident() not in app.threads


async def test_so_many_run_so_many_wait_and_more_are_refused(app: App) -> None:
    app.may_go_on.clear()
    served = threaded(app)
    async with asyncio.TaskGroup() as group, clients_of(served, 8) as clients:
        for client in clients[:5]:
            client.send(GET)
        await until(lambda: app.running == 2 and served.site.in_flight == 5)
        for client in clients[5:]:
            refused = await client.ask(GET)
            assert (refused.status, refused.header("retry-after")) == (503, "1")
            assert mentions(refused.reason, "too many", "requests")
            assert refused.header("connection") == "keep-alive"
        app.may_go_on.set()
        replies = [group.create_task(client.reply()) for client in clients[:5]]
        assert [(await reply).status for reply in replies] == [200] * 5
        assert [(await client.ask(GET)).status for client in clients] == [200] * 8
    assert app.most == 2
    assert served.answered.count(503) == 3


async def test_the_place_of_a_disconnected_client_is_freed(app: App) -> None:
    app.may_go_on.clear()
    served = threaded(app, threads=1, waiting=0)
    async with client_of(served) as client:
        client.send(GET)
        await until(lambda: app.running)
    app.may_go_on.set()
    await until(lambda: served.answered == [200])
    async with client_of(served) as client:
        assert (await client.ask(GET)).status == 200


async def test_pages_are_refused_while_others_are_unread(app: App) -> None:
    app.body = [b"a" * (9 << 20)]
    served = threaded(app, for_anybody=True)
    async with client_of(served) as one, client_of(served) as other:
        one.send(GET)
        await until(lambda: served.answered)
        assert (await other.ask(GET)).status == 503
        assert len((await one.reply()).body) == 9 << 20
        await until(lambda: served.site.takes_pages)
        assert (await other.ask(GET)).status == 200


async def test_where_no_thread_can_be_started_it_is_refused(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    served = threaded(app, threads=1, waiting=0)
    async with client_of(served) as client:
        with monkeypatch.context() as patched:
            patched.setattr("threading.Thread.start", refuse)
            for _ in range(3):
                assert (await client.ask(GET)).status == 503
        assert (await client.ask(GET)).status == 200
