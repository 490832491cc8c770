"""Requests that are rejected by their heads alone: who, and what becomes of their bodies."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import pytest

from service.overload.admission import BATCH, TEXTS
from tests.support.both_ways import by_flask, by_server, head, posted
from tests.support.connections import Client, Connect
from tests.support.parts import Served, SiteMaker, publish
from tests.support.server import KEY
from tests.support.strategies import VALID

pytestmark = pytest.mark.anyio

FULL = TEXTS["full"]
SMUGGLED = b"POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def full(make_site: SiteMaker) -> Served:
    """A site without a free waiting place."""
    served = make_site(max_waiting=0)
    served.parts.admission.waiting = BATCH
    return served


@pytest.fixture
async def client(full: Served, connect: Connect) -> Client:
    client: Client = await connect(full)
    return client


async def test_a_rejection_is_what_the_app_would_say(full: Served, client: Client) -> None:
    reply = await client.ask(posted(VALID))
    assert (reply.status, reply.reason) == (429, FULL)
    assert reply.header("retry-after") in {"1", "2", "3"}
    assert reply.header("connection") == "keep-alive"
    assert await by_server(client, VALID) == by_flask(full, VALID)


async def test_it_comes_before_the_body_which_is_no_request(full: Served, client: Client) -> None:
    body = SMUGGLED * 100
    assert (await client.ask(head(len(body)))).status == 429
    client.send(body[:100])
    await asyncio.sleep(0.01)
    full.parts.admission.waiting = 0
    assert (await client.ask(body[100:] + posted(VALID))).status == 200
    assert [record.status for record in full.answered] == [429, 200]


async def test_a_body_too_long_to_be_read_for_nothing_ends_the_connection(client: Client) -> None:
    refused = await client.ask(head(70_000) + b"a" * 100)
    assert (refused.status, refused.header("connection")) == (429, "close")
    client.send(SMUGGLED)
    assert await client.ended() == b""


async def test_a_body_in_chunks_may_be_too_long_too(client: Client) -> None:
    refused = await client.ask(
        head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n"
    )
    assert (refused.status, refused.header("connection")) == (429, "close")
    assert await client.ended() == b""


async def test_a_rejected_request_gets_no_100_continue(client: Client) -> None:
    assert (await client.ask(head(len(VALID), b"Expect: 100-continue"))).status == 429


@pytest.mark.parametrize("query", [b"", b"?detail=1", b"?detail=0", b"?detail=2", b"?a=b"])
async def test_requests_are_rejected_with_any_query(client: Client, query: bytes) -> None:
    assert (await client.ask(posted(VALID, line=b"POST /reg/" + query))).status == 429


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /reg/", 405),
        (b"POST /regs", 404),
        (b"POST /healthz", 405),
        (b"GET /healthz", 200),
        (b"GET /readyz", 200),
        (b"GET /", 200),
    ],
)
async def test_nothing_else_is_rejected(client: Client, line: bytes, status: int) -> None:
    assert (await client.ask(posted(b"", line=line))).status == status


async def test_a_wrong_key_and_a_wrong_kind_go_before(client: Client) -> None:
    sent = posted(VALID)
    wrong = await client.ask(sent.replace(b"x-api-key: ", b"x-api-key: no"))
    assert wrong.status == 401
    assert wrong.header("www-authenticate") == 'ApiKey header="x-api-key"'
    assert (await client.ask(sent.replace(b"application/json", b"text/plain"))).status == 415
    assert (await client.ask(posted(VALID, b"Content-Encoding: gzip"))).status == 415


async def test_nothing_is_rejected_while_there_are_free_places(
    full: Served, client: Client
) -> None:
    full.parts.admission.waiting = BATCH - 1
    assert (await client.ask(posted(VALID))).status == 200


async def test_neither_a_key_nor_a_plate_is_repeated_as_an_id(client: Client) -> None:
    for secret in (KEY, "A939HO196"):
        reply = await client.ask(posted(VALID, b"X-Request-Id: " + secret.encode()))
        assert reply.status == 429
        assert secret not in str(reply)
    assert (await client.ask(posted(VALID, b"X-Request-Id: mine-1"))).header(
        "x-request-id"
    ) == "mine-1"


async def test_each_is_counted_once(full: Served, client: Client) -> None:
    for _ in range(3):
        assert (await client.ask(posted(VALID))).status == 429
    for body in (b"[" + VALID + b"," * 3000 + b"]", VALID + b" " * 3000):
        assert (await client.ask(posted(body))).reason == TEXTS["array"]
    publish(full.parts)
    value = full.parts.metrics.registry.get_sample_value
    assert value("scoring_requests_shed_total", {"reason": "full"}) == 3
    assert value("scoring_requests_shed_total", {"reason": "array"}) == 2
    labels = {"key": "example", "method": "POST", "route": "/reg", "status": "429"}
    assert value("scoring_http_requests_total", labels) == 5
    assert value("scoring_rows_total", {"result": "refused"}) == 0


@asynccontextmanager
async def arrays(served: Served, count: int) -> AsyncIterator[None]:
    """So many arrays: one has its turn, the others wait."""
    over = asyncio.Event()

    async def hold() -> None:
        async with served.parts.admission.array(10_000, inf):
            await over.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(hold())
        await asyncio.sleep(0)
        yield
        over.set()


async def test_arrays_are_rejected_by_their_length_while_others_wait(
    make_site: SiteMaker, connect: Connect
) -> None:
    served = make_site(max_waiting=1)
    client = await connect(served)
    async with arrays(served, 2):
        refused = await client.ask(head(50_000) + b"a" * 100)
        assert (refused.status, refused.reason) == (429, FULL)
        client.send(b"a" * (50_000 - 100))
        assert (await client.ask(posted(VALID))).status == 200


async def test_explanations_are_rejected_by_their_heads_while_rows_wait(client: Client) -> None:
    line = b"POST /reg/explain"
    refused = await client.ask(head(len(VALID), line=line))
    assert (refused.status, refused.reason) == (429, TEXTS["explain"])
    assert refused.header("retry-after") in {"1", "2", "3"}
    client.send(VALID)
    wrong = head(0, line=line).replace(b"x-api-key: ", b"x-api-key: no")
    assert (await client.ask(wrong)).status == 401


async def test_explanations_that_would_wait_for_too_many_others_are_rejected(
    served: Served, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is worked out at a time, and eight may wait."""
    may_end = threading.Event()

    def explained(*_: object) -> list[object]:
        assert may_end.wait(20)
        return [None]

    monkeypatch.setattr(type(served.parts.slot.current.scorer), "explained", explained)
    clients: list[Client] = [await connect(served) for _ in range(20)]
    for client in clients:
        client.send(posted(VALID, line=b"POST /reg/explain"))
    early = [await client.reply() for client in clients[9:]]
    assert [(reply.status, reply.reason) for reply in early] == [(429, TEXTS["explain"])] * 11
    may_end.set()
    assert [(await client.reply()).status for client in clients[:9]] == [200] * 9
