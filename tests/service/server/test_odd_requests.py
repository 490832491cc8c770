"""The corpus of odd requests: each gets the one right answer of the server in this process."""

from asyncio import IncompleteReadError
from contextlib import suppress

import pytest

from tests.support.connections import Client, Connect
from tests.support.odd_requests import READ, REFUSED, Odd
from tests.support.parts import Served

pytestmark = pytest.mark.anyio

LAST = b"GET / HTTP/1.1\r\nHost: a\r\nx-api-key: 123321\r\nX-Request-Id: the-last\r\n\r\n"


async def _statuses(client: Client, count: int) -> list[int]:
    """Those of the replies, up to so many; fewer if the connection ends."""
    statuses: list[int] = []
    with suppress(IncompleteReadError, ConnectionError):
        while len(statuses) < count:
            statuses += [(await client.reply()).status]
    return statuses


@pytest.mark.parametrize("odd", [*REFUSED, *READ], ids=lambda odd: odd.name)
@pytest.mark.parametrize("size", [0, 1000], ids=["whole", "cut"])
async def test_each_has_its_right_answer(
    odd: Odd, size: int, served: Served, connect: Connect
) -> None:
    client: Client = await connect(served)
    for at in range(0, len(odd.data), size or len(odd.data)):
        client.send(odd.data[at : at + (size or len(odd.data))])
    assert await _statuses(client, len(odd.statuses)) == list(odd.statuses)
    if odd.closes:
        assert await client.ended() == b""
    else:  # it goes on with the very next byte
        assert (await client.ask(LAST)).header("x-request-id") == "the-last"


@pytest.mark.parametrize(
    "odd", [odd for odd in READ if len(odd.data) < 1000], ids=lambda odd: odd.name
)
async def test_none_is_read_otherwise_byte_by_byte(
    odd: Odd, served: Served, connect: Connect
) -> None:
    client: Client = await connect(served)
    for byte in odd.data:
        client.send(bytes([byte]))
    assert await _statuses(client, len(odd.statuses)) == list(odd.statuses)
    if not odd.closes:
        assert (await client.ask(LAST)).header("x-request-id") == "the-last"
