"""One client's connection, on a real transport: what is answered, when, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.reply import Reply, fail, ok
from service.server.connection import BODY, END, HEAD, IDLE, REPLY
from service.server.request import Request
from service.server.site import Patience
from tests.support.connections import GET, Client, chunked, connected, post, settled, until
from tests.support.endpoints import EchoSite
from tests.support.messages import mentions

pytestmark = pytest.mark.anyio

# Far more than an unread socket takes.
LONG = 8 << 20
PATIENT = Patience(idle=75.0, head=20.0, body=20.0)


@pytest.fixture
def echo() -> EchoSite:
    return EchoSite()


@pytest.fixture
async def client(echo: EchoSite) -> AsyncIterator[Client]:
    async with connected(echo.site) as client:
        yield client


async def taken(client: Client) -> None:
    """Wait until the socket takes no more."""
    sizes = [0]
    while len(set(sizes[-20:])) > 1 or not sizes[-1]:
        sizes.append(client.connection.transport.get_write_buffer_size())
        await asyncio.sleep(0)


# Replies.


async def test_a_reply_has_what_every_reply_has(client: Client, echo: EchoSite) -> None:
    reply = await client.ask(GET)
    assert reply.status == 200
    assert reply.json() == {"body": ["GET", "/x", ""], "status": "ok"}
    named = dict(reply.headers)
    assert named.pop("Date").endswith(" GMT")
    assert named == {
        "Server": "gunicorn",
        "Connection": "keep-alive",
        "Content-Type": "application/json",
        "Content-Length": str(len(reply.body)),
        "X-Request-Id": "id",
        "X-Model-Version": "v1",
    }
    assert echo.statuses == [200]
    assert echo.answered[0].record.route == "unmatched"


async def test_a_reply_to_head_has_no_body_but_its_length(client: Client) -> None:
    client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
    reply = await client.reply(to_head=True)
    assert reply.status == 200
    assert int(reply.header("content-length")) == len(b'{"body":["HEAD","/x",""],"status":"ok"}')
    assert (await client.ask(GET)).status == 200


async def test_bodies_come_by_length_and_in_chunks(client: Client) -> None:
    for sent in (post(b"{}"), chunked(b"{", b"}", b"")):
        assert (await client.ask(sent)).json()["body"] == ["POST", "/x", "{}"]


# In turn.


class Iterations:
    """Counts the loop's iterations."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.count += 1
        self._loop.call_soon(self._next)


async def test_one_request_of_a_connection_is_answered_in_an_iteration(
    client: Client, echo: EchoSite
) -> None:
    iterations = Iterations()
    answered: list[int] = []

    def note(request: Request) -> Reply:
        del request
        answered.append(iterations.count)
        return ok(None)

    echo.endpoint.make = note
    client.send(GET * 200)
    for _ in range(200):
        assert (await client.reply()).status == 200
    assert len(set(answered)) == 200


async def test_a_flood_of_one_client_leaves_every_other_its_turn(
    client: Client, echo: EchoSite
) -> None:
    client.send(GET * 2000)
    await until(lambda: len(echo.answered) > 2)
    async with connected(echo.site) as other:
        assert (await other.ask(post(b"other"))).status == 200
    bodies = [request.body for request in echo.answered]
    assert bodies.index(b"other") < 500


async def test_replies_come_in_the_order_of_requests(client: Client, echo: EchoSite) -> None:
    echo.endpoint.holds = True
    client.send(post(b"first") + post(b"second") + chunked(b"third", b""))
    for body in ("first", "second", "third"):
        await until(lambda: bool(echo.endpoint.held))
        ((request, _),) = echo.endpoint.held
        assert request.body.decode() == body
        echo.endpoint.let_go()
        assert (await client.reply()).json()["body"][2] == body


async def test_while_a_request_is_answered_nothing_more_is_read(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.holds = True
    client.send(GET)
    await until(lambda: bool(echo.endpoint.held))
    client.send(post(b"a" * LONG))
    await until(lambda: not client.connection.transport.is_reading())
    await asyncio.sleep(0.05)
    assert client.writer.transport.get_write_buffer_size() > LONG - (1 << 20)
    assert len(echo.endpoint.admitted) == 1
    echo.endpoint.limit = LONG
    echo.endpoint.holds = False
    echo.bodies.limit = 2 * LONG
    echo.endpoint.let_go()
    assert (await client.reply()).status == 200
    assert len((await client.reply()).json()["body"][2]) == LONG


async def test_what_is_not_read_by_its_client_stops_its_requests(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.make = lambda _: ok("a" * LONG)
    client.send(GET * 3)
    await until(lambda: bool(echo.answered))
    await taken(client)
    assert echo.statuses == [200]
    for _ in range(3):
        assert len((await client.reply()).body) > LONG
    assert echo.statuses == [200] * 3


async def test_a_client_that_reads_no_reply_gets_no_further_ones(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.make = lambda _: ok("a" * LONG)
    client.send(GET)
    await until(lambda: bool(echo.answered))
    await taken(client)
    client.send(GET)
    await until(lambda: not client.connection.transport.is_reading())
    assert echo.statuses == [200]
    for _ in range(2):
        assert len((await client.reply()).body) > LONG
    assert len((await client.ask(GET)).body) > LONG


@given(
    st.lists(
        st.tuples(st.sampled_from([post, chunked]), st.binary(max_size=400)), min_size=1, max_size=6
    ),
    st.lists(st.integers(1, 2000), max_size=12),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
async def test_each_request_is_answered_once_however_it_comes(
    requests: list[tuple[object, bytes]], places: list[int], waits: list[bool]
) -> None:
    echo = EchoSite()
    bodies = [body for _, body in requests]
    data = b"".join(
        post(body) if kind is post else chunked(*([body] if body else []), b"")
        for kind, body in requests
    )
    at = sorted({0, *(place for place in places if place < len(data)), len(data)})
    async with connected(echo.site) as client:
        for number, (begin, end) in enumerate(pairwise(at)):
            client.send(data[begin:end])
            if waits[number % len(waits)]:
                await asyncio.sleep(0)
        replies = [(await client.reply()).json()["body"][2].encode("latin-1") for _ in bodies]
        assert replies == bodies
        assert echo.bodies.held == 0
        await settled(client, IDLE)


# Expect.


async def test_a_client_that_waits_with_its_body_gets_100_continue(
    client: Client, echo: EchoSite
) -> None:
    head, _, body = post(b"{}", b"Expect: 100-continue").partition(b"\r\n\r\n")
    client.send(head + b"\r\n\r\n")
    assert (await client.reply()).status == 100
    assert echo.statuses == []
    assert (await client.ask(body)).status == 200


@pytest.mark.parametrize("body", [b"{}", b""])
async def test_a_body_that_has_come_gets_no_100_continue(client: Client, body: bytes) -> None:
    assert (await client.ask(post(body, b"Expect: 100-continue"))).status == 200


async def test_a_refused_body_gets_no_100_continue(client: Client, echo: EchoSite) -> None:
    echo.endpoint.refusal = lambda _: fail(401, "no")
    head = post(b"{}", b"Expect: 100-continue")[:-2]
    assert (await client.ask(head)).status == 401
    assert echo.statuses == [401]


# Refusals.


async def test_a_refusal_comes_before_the_body_and_the_connection_goes_on(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.refusal = lambda request: fail(401, "no") if b"x-bad" in request.headers else None
    sent = post(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" * 10, b"X-Bad: 1")
    head = sent.index(b"\r\n\r\n") + 4
    refused = await client.ask(sent[:head])
    assert (refused.status, refused.reason, refused.header("connection")) == (
        *(401, "no"),
        "keep-alive",
    )
    assert (await client.ask(sent[head:] + post(b"next"))).json()["body"][2] == "next"
    assert [request.target for request in echo.endpoint.admitted] == [b"/x", b"/x"]


@pytest.mark.parametrize(
    "sent", [post(b"a" * 70_000)[:500], chunked(b"a" * 100)], ids=["long", "chunked"]
)
async def test_a_refused_body_that_may_be_long_ends_the_connection(
    client: Client, echo: EchoSite, sent: bytes
) -> None:
    echo.endpoint.refusal = lambda _: fail(401, "no")
    refused = await client.ask(sent)
    assert (refused.status, refused.header("connection")) == (401, "close")
    client.send(GET)
    assert await client.ended() == b""
    assert echo.statuses == [401]


async def test_what_is_no_http_is_refused_with_a_record_of_its_own(
    client: Client, echo: EchoSite
) -> None:
    refused = await client.ask(b"nonsense\r\n\r\n")
    assert (refused.status, refused.reason) == (400, "bad request")
    assert refused.header("x-request-id") == "id"
    assert refused.header("x-model-version") == "v1"
    assert refused.header("connection") == "close"
    client.send(GET)
    assert await client.ended() == b""
    assert echo.statuses == [400]
    assert echo.answered[0].record.route == "unmatched"


async def test_an_error_at_a_head_concerns_its_connection_alone(
    client: Client, echo: EchoSite
) -> None:
    def fail_once(request: Request) -> None:
        if b"x-bad" in request.headers:
            raise ZeroDivisionError

    echo.endpoint.refusal = fail_once
    async with connected(echo.site) as other:
        assert (await client.ask(post(b"", b"X-Bad: 1"))).status == 500
        assert await client.ended() == b""
        assert (await other.ask(GET)).status == 200
    assert [type(error) for error in echo.failed] == [ZeroDivisionError]
    assert echo.statuses == [500, 200]


# Ends.


async def test_the_end_of_an_idle_client_is_the_end(client: Client, echo: EchoSite) -> None:
    assert (await client.ask(GET)).status == 200
    client.end()
    assert await client.ended() == b""
    assert echo.statuses == [200]
    assert not echo.site.connections


@pytest.mark.parametrize("count", [1, 3])
async def test_what_came_before_the_end_is_answered(client: Client, count: int) -> None:
    client.send(GET * count)
    client.end()
    received = await client.ended()
    assert received.count(b"HTTP/1.1 200 OK") == count


async def test_a_request_that_is_being_answered_at_the_end_is_answered(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.holds = True
    client.send(GET)
    await until(lambda: bool(echo.endpoint.held))
    client.end()
    await asyncio.sleep(0.02)
    echo.endpoint.let_go()
    assert (await client.reply()).status == 200
    assert await client.ended() == b""


@pytest.mark.parametrize(
    ("sent", "facts"),
    [
        (post(b"{}")[:-1], ("body ends", "Content-Length")),
        (post(b"{}")[:-2], ("body ends", "Content-Length")),
        (chunked(b"{}"), ("body ends", "Content-Length")),
        (GET[:-2], ("bad request",)),
        (GET[:1], ("bad request",)),
    ],
)
async def test_half_a_request_is_refused_at_the_end(
    client: Client, echo: EchoSite, sent: bytes, facts: tuple[str, ...]
) -> None:
    client.send(GET + sent)
    client.end()
    assert (await client.reply()).status == 200
    refused = await client.reply()
    assert refused.status == 400
    assert mentions(refused.reason, *facts)
    assert await client.ended() == b""
    assert echo.statuses == [200, 400]
    assert echo.bodies.held == 0


async def test_connection_close_is_answered_then_closed_whatever_follows(
    client: Client, echo: EchoSite
) -> None:
    client.send(post(b"last", b"Connection: close") + GET * 3)
    reply = await client.reply()
    assert (reply.status, reply.header("connection")) == (200, "close")
    client.send(GET * 1000)
    assert await client.ended() == b""
    assert echo.statuses == [200]
    assert len(echo.endpoint.admitted) == 1


async def test_http_1_0_is_closed_unless_it_is_kept(client: Client) -> None:
    kept = b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert (await client.ask(kept)).header("connection") == "keep-alive"
    assert (await client.ask(b"GET /x HTTP/1.0\r\n\r\n")).header("connection") == "close"
    assert await client.ended() == b""


async def test_a_client_that_is_gone_gets_no_reply_but_its_request_is_counted(
    echo: EchoSite,
) -> None:
    echo.endpoint.holds = True
    async with connected(echo.site) as client:
        client.send(post(b"a" * 10_000))
        await until(lambda: bool(echo.endpoint.held))
        assert echo.bodies.held == 10_000
    await until(lambda: not echo.site.connections)
    assert echo.bodies.held == 10_000
    echo.endpoint.let_go()
    assert echo.bodies.held == 0
    await until(lambda: echo.statuses == [200])


async def test_a_client_that_goes_within_a_body_leaves_nothing_reserved(echo: EchoSite) -> None:
    for sent in (post(b"a" * 10_000)[:-1], chunked(b"a" * 100_000)):
        async with connected(echo.site) as client:
            client.send(sent)
            await settled(client, BODY)
            await until(lambda: echo.bodies.held > 0)
        await until(lambda: not echo.site.connections)
        assert echo.bodies.held == 0
    assert echo.statuses == []


@pytest.mark.parametrize("stops", [True, False])
async def test_once_it_is_to_stop_each_reply_closes_its_connection(
    client: Client, echo: EchoSite, *, stops: bool
) -> None:
    assert (await client.ask(GET)).header("connection") == "keep-alive"
    echo.site.stops, echo.drains = stops, int(not stops)
    assert (await client.ask(GET)).header("connection") == "close"
    assert await client.ended() == b""


# Time.


async def test_a_connection_may_be_idle_for_so_long(client: Client, echo: EchoSite) -> None:
    assert (await client.ask(GET)).status == 200
    await settled(client, IDLE)
    since = client.connection.since
    client.connection.check(since + 74.9, PATIENT)
    assert (await client.ask(GET)).status == 200
    await settled(client, IDLE)
    client.connection.check(client.connection.since + 75.1, PATIENT)
    assert await client.ended() == b""
    assert echo.statuses == [200, 200]


async def test_a_head_may_take_so_long_from_its_first_byte(client: Client, echo: EchoSite) -> None:
    client.send(GET[:1])
    await settled(client, HEAD)
    since = client.connection.since
    client.send(GET[1:9])
    await asyncio.sleep(0.02)
    assert client.connection.since == since
    client.connection.check(since + 19.9, PATIENT)
    assert client.connection.waits_for == HEAD
    client.connection.check(since + 20.1, PATIENT)
    assert await client.ended() == b""
    assert echo.statuses == []


async def test_an_admitted_body_that_stalls_times_out(client: Client, echo: EchoSite) -> None:
    client.send(post(b"a" * 10_000)[:-1])
    await settled(client, BODY)
    since = client.connection.since
    client.connection.check(since + 4.9, PATIENT)
    assert client.connection.waits_for == BODY
    client.connection.check(since + 5.5, PATIENT)
    assert (await client.reply()).status == 408
    assert echo.bodies.held == 0


async def test_a_body_may_take_so_long_from_its_head_on(client: Client, echo: EchoSite) -> None:
    sent = post(b"a" * 2000)
    client.send(sent[:-1900])
    await settled(client, BODY)
    since = client.connection.since
    client.send(sent[-1900:-1])
    await asyncio.sleep(0.02)
    assert client.connection.since == since
    client.connection.check(since + 19.9, PATIENT)
    assert client.connection.waits_for == BODY
    client.connection.check(since + 20.1, PATIENT)
    refused = await client.reply()
    assert refused.status == 408
    assert mentions(refused.reason, "body", "in time")
    assert refused.header("connection") == "close"
    client.send(sent[-1:] + GET)
    assert await client.ended() == b""
    assert echo.statuses == [408]
    assert echo.bodies.held == 0


async def test_a_refused_body_that_does_not_come_is_no_second_reply(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.refusal = lambda _: fail(401, "no")
    sent = post(b"a" * 100)
    assert (await client.ask(sent[:-50])).status == 401
    await settled(client, BODY)
    client.connection.check(client.connection.since + 20.1, PATIENT)
    assert await client.ended() == b""
    assert echo.statuses == [401]


async def test_a_request_that_is_being_answered_may_take_its_time(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.holds = True
    client.send(GET)
    await settled(client, REPLY)
    client.connection.check(client.connection.since + 1e6, PATIENT)
    echo.endpoint.let_go()
    assert (await client.reply()).status == 200


async def test_after_the_last_reply_a_client_that_does_not_end_is_ended(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.refusal = lambda _: fail(401, "no")
    assert (await client.ask(chunked(b"{}"))).status == 401
    await settled(client, END)
    client.connection.check(client.connection.since + 0.9, PATIENT)
    assert len(echo.site.connections) == 1
    client.connection.check(client.connection.since + 1.1, PATIENT)
    await until(lambda: not echo.site.connections)


async def test_a_client_that_does_not_read_its_reply_is_disconnected(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.make = lambda _: ok("a" * LONG)
    client.send(GET)
    await until(lambda: bool(echo.answered))
    await taken(client)
    now = client.connection.since
    client.connection.check(now, PATIENT)
    client.connection.check(now + 9.9, PATIENT)
    assert len(echo.site.connections) == 1
    client.connection.check(now + 10.1, PATIENT)
    await until(lambda: not echo.site.connections)


@pytest.mark.parametrize("end", [False, True])
async def test_a_request_that_has_come_is_not_idle_while_its_client_reads(
    client: Client, echo: EchoSite, *, end: bool
) -> None:
    echo.endpoint.make = lambda _: ok("a" * LONG)
    client.send(GET * 2)
    if end:
        client.end()
    await until(lambda: bool(echo.answered))
    await taken(client)
    now = client.connection.since
    for seconds in (0.0, 9.0):
        client.connection.check(now + seconds, PATIENT._replace(idle=5.0))
    for _ in range(2):
        assert len((await client.reply()).body) > LONG


async def test_a_client_that_reads_its_reply_slowly_stays_connected(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.make = lambda _: ok("a" * LONG)
    now = client.connection.since
    client.send(GET)
    for _ in range(LONG >> 20):
        assert len(await client.some(1 << 20)) == 1 << 20
        now += 9.0
        client.connection.check(now, PATIENT)
    assert len(echo.site.connections) == 1


async def test_what_is_sent_after_the_last_reply_is_read_up_to_a_bound(
    client: Client, echo: EchoSite
) -> None:
    echo.endpoint.refusal = lambda _: fail(401, "no")
    client.send(post(b"a" * (20 << 20)))
    assert (await client.reply()).status == 401
    await until(lambda: not client.connection.transport.is_reading())
    assert len(echo.site.connections) == 1, "a client that is ended at once connects again at once"
    client.connection.check(client.connection.since + 1.1, PATIENT)
    await until(lambda: not echo.site.connections)
    assert echo.statuses == [401]


# Turns.


async def test_a_body_in_many_chunks_delays_no_other_client(client: Client, echo: EchoSite) -> None:
    async with connected(echo.site) as other:
        client.send(chunked(*[b"a" * 70] * 3000, b""))
        other.send(GET)
        assert (await other.reply()).status == 200
        assert echo.statuses == [200], "the body is still being parsed"
        assert len((await client.reply()).json()["body"][2]) == 210_000


async def test_the_time_for_a_body_goes_on_while_its_chunks_wait(
    client: Client, echo: EchoSite
) -> None:
    client.send(chunked(*[b"a" * 70] * 500))
    await settled(client, BODY)
    since = client.connection.since
    client.send(b"46\r\n%b\r\n" % (b"a" * 70) * 500)
    await asyncio.sleep(0.05)
    assert (client.connection.waits_for, client.connection.since) == (BODY, since)
    assert echo.statuses == []


async def test_http_1_0_gets_no_100_continue(client: Client, echo: EchoSite) -> None:
    client.send(b"POST /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    await settled(client, BODY)
    client.send(b"a")
    assert (await client.reply()).status == 200
    assert echo.statuses == [200]


async def test_a_refused_client_that_waits_for_100_continue_is_disconnected(
    client: Client, echo: EchoSite
) -> None:
    """What it sends next may be the body or another request."""
    echo.endpoint.refusal = lambda _: fail(401, "no")
    refused = await client.ask(post(b"a", b"Expect: 100-continue")[:-1])
    assert (refused.status, refused.header("connection")) == (401, "close")
    client.send(GET)
    assert await client.ended() == b""


@pytest.mark.parametrize("behind", [b"\r\n", GET, b"a" * (3 << 20)])
async def test_a_last_reply_is_whole_whatever_comes_behind_its_request(
    client: Client, echo: EchoSite, behind: bytes
) -> None:
    """However slowly it is read: a close with unread bytes, or too early, would cut it off."""
    echo.endpoint.make = lambda _: ok("a" * LONG)
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + behind)
    await settled(client, END)
    for _ in range(4):
        client.connection.check(client.connection.since + 1.5, PATIENT)
        await asyncio.sleep(0)
    assert len((await client.reply()).json()["body"]) == LONG
    assert await client.ended() == b""
