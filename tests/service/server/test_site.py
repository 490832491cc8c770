"""What connections share: endpoints, the budget of bodies, unread replies, eviction, the date."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from itertools import count

import pytest

from service.http.reply import fail, ok
from service.server import site as module
from service.server.connection import BODY, IDLE, REPLY, Connection
from service.server.request import Request, path_of
from service.server.site import Budget, Events, Patience, Site
from service.telemetry.record import Record
from tests.support.connections import GET, Client, chunked, connected, post, settled, until
from tests.support.endpoints import LIMIT, Echo, EchoSite
from tests.support.messages import mentions

pytestmark = pytest.mark.anyio

PATIENT = Patience(idle=75.0, head=20.0, body=20.0)
MIB = 1 << 20


@pytest.fixture
def echo() -> EchoSite:
    return EchoSite()


class Clients:
    """Clients of one site, until the end of a test."""

    def __init__(self, site: Site, stack: AsyncExitStack) -> None:
        self._site = site
        self._stack = stack

    async def one(self) -> Client:
        return await self._stack.enter_async_context(connected(self._site))

    async def many(self, count: int) -> list[Client]:
        return [await self.one() for _ in range(count)]


@pytest.fixture
async def clients(echo: EchoSite) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(echo.site, stack)


# Endpoints.


class Named(Echo):
    """An endpoint that replies with its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.make = lambda _: ok(name)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"POST /reg/", "reg"),
        (b"POST /reg/?detail=1", "reg"),
        (b"POST /reg", "reg"),
        (b"POST /%72eg", "reg"),
        (b"POST http://b/reg/", "reg"),
        (b"GET /reg/", "other of /reg/"),
        (b"POST /reg//", "other of /reg//"),
        (b"POST //reg", "other of //reg"),
        (b"POST /REG", "other of /REG"),
        (b"POST /reg%2F", "reg"),
        (b"GET /%00x", "other of /\0x"),
        (b"OPTIONS *", "other of *"),
    ],
)
async def test_an_endpoint_is_found_by_method_and_path(line: bytes, name: str) -> None:
    echo, reg = EchoSite(), Named("reg")
    site = Site(
        {(b"POST", b"/reg/"): reg, (b"POST", b"/reg"): reg},
        lambda request: Named(f"other of {path_of(request.target).decode()}"),
        echo.bodies,
        Events(
            lambda *_: Record("id"),
            lambda: 0,
            lambda *_: None,
            lambda error: pytest.fail(repr(error)),
        ),
    )
    async with connected(site) as client:
        reply = await client.ask(line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert reply.json()["body"] == name


async def test_a_record_is_made_of_method_and_headers(echo: EchoSite, clients: Clients) -> None:
    echo.record = lambda method: Record(f"of-{method.decode()}")
    client = await clients.one()
    assert (await client.ask(GET)).header("x-request-id") == "of-GET"
    assert (await client.ask(post(b""))).header("x-request-id") == "of-POST"
    assert (await client.ask(b"nonsense\r\n\r\n")).header("x-request-id") == "of-"


async def test_what_was_answered_in_an_iteration_is_reported_together(
    echo: EchoSite,
) -> None:
    counts: list[int] = []
    events = Events(
        lambda *_: Record("id"), lambda: 0, lambda requests: counts.append(len(requests)), print
    )
    echo.endpoint.holds = True
    site = Site({}, lambda _: echo.endpoint, echo.bodies, events)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(site)) for _ in range(5)]
        for client in clients:
            client.send(GET)
        await until(lambda: len(echo.endpoint.held) == 5)
        echo.endpoint.let_go()
        assert counts == []
        assert [(await client.reply()).status for client in clients] == [200] * 5
        assert counts == [5]


# The budget of bodies.


def test_a_budget_is_given_out_once() -> None:
    budget = Budget(10)
    assert budget.take(6, "a")
    assert not budget.take(5, "b")
    assert budget.take(4, "b")
    budget.give_back(6, "a")
    assert budget.held == 4
    assert budget.take(6, "a")


def test_three_quarters_of_a_budget_are_for_one_owner() -> None:
    budget = Budget(8)
    assert budget.take(4, "a")
    assert budget.take(2, "a")
    assert not budget.take(1, "a")
    assert budget.take(2, "b")
    budget.give_back(2, "b")
    budget.give_back(2, "a")
    assert budget.take(1, "a")


def test_one_alone_may_have_any_size() -> None:
    budget = Budget(10)
    assert budget.take(100)
    assert not budget.take(1)
    budget.give_back(100)
    assert budget.take(1)


async def test_bodies_are_reserved_before_they_come_and_freed_by_their_replies(
    echo: EchoSite, clients: Clients
) -> None:
    echo.bodies.limit = 100_000
    first, second = await clients.many(2)
    first.send(post(b"a" * 60_000)[:200])
    await settled(first, BODY)
    assert echo.bodies.held == 60_000
    refused = await second.ask(post(b"a" * 60_000))
    assert (refused.status, refused.reason) == (429, "full")
    first.send(post(b"a" * 60_000)[200:])
    assert (await first.reply()).status == 200
    assert echo.bodies.held == 0
    assert (await second.ask(post(b"a" * 60_000))).status == 200
    assert echo.bodies.held == 0


async def test_bodies_are_held_while_they_are_answered(echo: EchoSite, clients: Clients) -> None:
    echo.endpoint.holds = True
    client = await clients.one()
    client.send(post(b"a" * 5000) + post(b"a" * 7000))
    for size in (5000, 7000):
        await until(lambda: echo.endpoint.held)
        assert echo.bodies.held == size
        echo.endpoint.let_go()
        assert (await client.reply()).status == 200
    assert echo.bodies.held == 0


async def test_small_bodies_are_bounded_by_the_number_of_connections(
    echo: EchoSite, clients: Clients
) -> None:
    echo.bodies.take(echo.bodies.limit)
    client = await clients.one()
    assert (await client.ask(post(b"a" * 2048))).status == 200
    assert (await client.ask(chunked(b"a" * 2048, b""))).status == 200
    assert (await client.ask(post(b"a" * 2049))).status == 429
    refused = await client.ask(chunked(b"a" * 2049))
    assert (refused.status, refused.header("connection")) == (429, "close")
    assert await client.ended() == b""
    assert echo.bodies.held == echo.bodies.limit


def _has_come(request: Request, size: int) -> bool:
    return request.received == size


async def test_chunked_bodies_are_reserved_as_they_grow(echo: EchoSite, clients: Clients) -> None:
    client = await clients.one()
    client.send(chunked(b"a" * 2048))
    await settled(client, BODY)
    held = [echo.bodies.held]
    (request,) = echo.endpoint.admitted
    for received in (2049, 70_000, 140_000, 900_000):
        missing = received - request.received
        client.send(b"%x\r\n%b\r\n" % (missing, b"a" * missing))
        await until(partial(_has_come, request, received))
        held.append(echo.bodies.held)
        assert received - 2048 <= held[-1] <= received + 64 * 1024
    assert held == sorted(held)
    assert held[0] == 0
    client.send(b"0\r\n\r\n")
    assert (await client.reply()).status == 200
    assert echo.bodies.held == 0


async def test_a_body_that_grows_beyond_the_budget_is_refused(
    echo: EchoSite, clients: Clients
) -> None:
    echo.bodies.limit = 200_000
    first, second = await clients.many(2)
    first.send(chunked(b"a" * 120_000))
    await until(lambda: [request.received for request in echo.endpoint.admitted] == [120_000])
    refused = await second.ask(chunked(b"a" * 100_000))
    assert (refused.status, refused.header("connection")) == (429, "close")
    first.send(b"0\r\n\r\n")
    assert (await first.reply()).status == 200
    assert echo.bodies.held == 0


@pytest.mark.parametrize("make", [post, lambda body: chunked(body, b"")], ids=["stated", "chunked"])
async def test_a_body_has_the_limit_of_its_endpoint(
    echo: EchoSite, clients: Clients, make: Callable[[bytes], bytes]
) -> None:
    client = await clients.one()
    assert (await client.ask(make(b"a" * LIMIT))).status == 200
    refused = await client.ask(make(b"a" * (LIMIT + 1)))
    assert refused.status == 413
    assert mentions(refused.reason, f"{LIMIT} bytes")
    assert refused.header("connection") == "close"
    assert echo.bodies.held == 0


# Unread replies.


def _are_answered(echo: EchoSite, count: int) -> bool:
    return len(echo.answered) == count


async def test_unread_replies_are_bounded_in_all_and_the_oldest_go(
    echo: EchoSite, clients: Clients
) -> None:
    page = ok("a" * (20 * MIB))
    echo.endpoint.make = lambda _: page
    opened = await clients.many(5)
    for number, client in enumerate(opened, start=1):
        client.send(GET)
        await until(partial(_are_answered, echo, number))
        assert echo.site.unsent < 80 * MIB
    await until(lambda: len(echo.site.connections) == 3)
    assert len((await opened[-1].reply()).body) > 20 * MIB
    assert len((await opened[-2].reply()).body) > 20 * MIB


async def test_long_pages_are_not_sent_while_others_are_unread(
    echo: EchoSite, clients: Clients
) -> None:
    page = ok("a" * (9 * MIB))
    echo.endpoint.make = lambda _: page
    one, other = await clients.many(2)
    assert other.connection.takes_pages
    one.send(GET)
    await until(lambda: echo.answered)
    assert echo.site.unsent > 8 * MIB
    assert [other.connection.takes_pages] == [False]
    assert len((await one.reply()).body) > 9 * MIB
    await until(lambda: other.connection.takes_pages)
    assert echo.site.unsent == 0


async def test_the_unsent_reply_of_a_disconnected_client_is_dropped(
    echo: EchoSite, clients: Clients
) -> None:
    page = ok("a" * (9 * MIB))
    echo.endpoint.make = lambda _: page
    client = await clients.one()
    client.send(GET)
    await until(lambda: echo.site.unsent)
    await client.close()
    await until(lambda: not echo.site.unsent)


def test_what_is_read_for_nothing_is_bounded_in_a_second(echo: EchoSite) -> None:
    sizes = [echo.site.drop(MIB) for _ in range(100)]
    assert sizes == [True] * 63 + [False] * 37
    echo.site.check(0.0, PATIENT)
    assert echo.site.drop(MIB)


# Connections closed to free places.


async def test_the_connection_that_was_idle_longest_is_closed_first(
    echo: EchoSite, clients: Clients
) -> None:
    first, second, third = await clients.many(3)
    for client in (second, first, third):
        assert (await client.ask(GET)).status == 200
        await settled(client, IDLE)
    assert not echo.site.evict(second.connection.since - 1)
    assert echo.site.evict(third.connection.since)
    assert await second.ended() == b""
    assert (await first.ask(GET)).status == 200
    await settled(first, IDLE)
    assert echo.site.evict(third.connection.since)
    assert await third.ended() == b""
    assert (await first.ask(GET)).status == 200


async def test_connections_with_unfinished_requests_are_closed_but_not_those_being_answered(
    echo: EchoSite, clients: Clients
) -> None:
    echo.endpoint.holds = True
    answering, sending, beginning = await clients.many(3)
    answering.send(GET)
    sending.send(post(b"a" * 100)[:-1])
    beginning.send(GET[:5])
    await settled(answering, REPLY)
    await settled(sending, BODY)
    await until(lambda: beginning.connection.waits_for != IDLE)
    late = max(client.connection.since for client in (answering, sending, beginning))
    assert echo.site.evict(late)
    assert await beginning.ended() == b""
    assert b" 408 " in await sending.ended()
    assert not echo.site.evict(late)
    echo.endpoint.let_go()
    assert (await answering.reply()).status == 200


async def test_requests_are_in_flight_from_their_heads_to_their_replies(
    echo: EchoSite, clients: Clients
) -> None:
    echo.endpoint.holds = True
    one, other = await clients.many(2)
    assert echo.site.in_flight == 0
    one.send(post(b"ab")[:-1])
    await settled(one, BODY)
    assert echo.site.in_flight == 1
    other.send(GET)
    await settled(other, REPLY)
    assert echo.site.in_flight == 2
    one.send(b"b")
    await settled(one, REPLY)
    assert echo.site.in_flight == 2
    echo.endpoint.let_go()
    assert {(await client.reply()).status for client in (one, other)} == {200}
    assert echo.site.in_flight == 0


async def test_all_are_aborted_at_the_end(echo: EchoSite, clients: Clients) -> None:
    echo.endpoint.holds = True
    opened = await clients.many(3)
    opened[0].send(GET)
    opened[1].send(post(b"a" * 3000)[:-1])
    await settled(opened[0], REPLY)
    await settled(opened[1], BODY)
    echo.site.abort()
    for client in opened:
        assert await client.ended() == b""
    assert not echo.site.connections
    assert echo.site.in_flight == 0
    echo.endpoint.let_go()
    assert echo.bodies.held == 0


async def test_a_check_is_one_of_each_connection(echo: EchoSite, clients: Clients) -> None:
    opened = await clients.many(3)
    assert (await opened[1].ask(GET)).status == 200
    await settled(opened[1], IDLE)
    latest = max(client.connection.since for client in opened)
    echo.site.check(latest + 75.1, PATIENT)
    for client in opened:
        assert await client.ended() == b""


# The date.


async def test_the_date_of_replies_is_made_once_a_second(
    echo: EchoSite, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = (f"date {number}" for number in count())
    monkeypatch.setattr(module, "formatdate", lambda usegmt: next(dates) if usegmt else "")
    client = await clients.one()
    now = client.connection.since
    seen = [(await client.ask(GET)).header("date") for _ in range(3)]
    assert seen == ["date 0"] * 3
    echo.site.check(now, PATIENT)
    assert (await client.ask(GET)).header("date") == "date 1"
    echo.endpoint.refusal = lambda _: fail(401, "no")
    assert (await client.ask(GET)).header("date") == "date 2"
    assert (await client.ask(GET)).header("date") == "date 2"


@pytest.mark.parametrize("status", [200, 204, 302, 404, 418, 429, 500, 503, 599])
async def test_every_status_has_a_line(echo: EchoSite, clients: Clients, status: int) -> None:
    def answer(request: Request, connection: Connection) -> None:
        connection.respond(request, status, b"", b"")

    echo.endpoint.answer = answer  # type: ignore[method-assign]
    assert (await (await clients.one()).ask(GET)).status == status
