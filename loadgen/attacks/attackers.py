"""The attacks: `python -m loadgen.attacks.attackers NAME PORT SECONDS`, with the key on stdin.

Each is a coroutine that goes on until it is cancelled. None opens more connections than one
address may have at the edge.
"""

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple

_PIECE: Final = 64 * 1024
_ARRAY: Final = 16 * 1024 * 1024
_CONNECTIONS: Final = 500


class Aim(NamedTuple):
    """Who is attacked, and with what: a key, and a body that can be scored."""

    port: int
    key: str
    row: bytes

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """A new connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=4 * _PIECE)

    def head(self, *lines: str, target: str = "/reg/", key: str | None = None) -> bytes:
        """The head of a POST."""
        fields = ("Host: a", f"x-api-key: {self.key if key is None else key}")
        kind = "Content-Type: application/json"
        return "\r\n".join((f"POST {target} HTTP/1.1", *fields, kind, *lines, "", "")).encode()

    def request(self, body: bytes, target: str = "/reg/") -> bytes:
        """A whole POST."""
        return self.head(f"Content-Length: {len(body)}", target=target) + body


async def _talk(aim: Aim, data: bytes, *, reads: bool = True) -> None:
    """Send the same again and again on one connection, and read what comes, or nothing."""
    while True:
        with suppress(OSError):
            reader, writer = await aim.connect()
            drops = asyncio.create_task(_drop(reader)) if reads else None
            if not reads:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            try:
                while not writer.is_closing():
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(0)
            finally:
                if drops:
                    drops.cancel()
                writer.transport.abort()
        await asyncio.sleep(0.01)


async def _drop(reader: StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(_PIECE):
            pass


async def _all(tasks: "list[Awaitable[None]]") -> None:
    await asyncio.gather(*tasks)


async def refusals(aim: Aim) -> None:
    """One connection that pipelines requests without a key."""
    await _talk(aim, aim.head("Content-Length: 0", key="") * 100)


async def probes(aim: Aim) -> None:
    """Six connections that pipeline probes."""
    await _all([_talk(aim, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 100) for _ in range(6)])


async def scores(aim: Aim) -> None:
    """Six connections that pipeline scores."""
    await _all([_talk(aim, aim.request(aim.row) * 20) for _ in range(6)])


async def unread_pages(aim: Aim) -> None:
    """Connections that ask for a large page twenty times, and read nothing."""
    ask = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n" * 20
    await _all([_once(aim, ask) for _ in range(_CONNECTIONS)])


async def unread_arrays(aim: Aim) -> None:
    """Connections that have arrays scored with details, and read nothing."""
    rows = b"[" + b",".join([aim.row] * 5000) + b"]"
    await _all([_once(aim, aim.request(rows, "/reg/?detail=1")) for _ in range(20)])


async def _once(aim: Aim, data: bytes) -> None:
    """Send it, read nothing, and stay as long as the server lets it; then come again."""
    while True:
        with suppress(OSError):
            _, writer = await aim.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            try:
                writer.write(data)
                while not writer.is_closing():
                    await asyncio.sleep(0.1)
                    writer.write(b"")
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.05)


async def half_bodies(aim: Aim) -> None:
    """A hundred connections that send all but the last thousand bytes of a long array."""
    head = aim.head(f"Content-Length: {_ARRAY}")
    await _all([_drip(aim, head + b"[" + b" " * (_ARRAY - 1000)) for _ in range(100)])


async def slow_heads(aim: Aim) -> None:
    """Connections that send a head, a byte now and then."""
    await _all([_drip(aim, b"GET /healthz HTTP/1.1\r\nHost: ") for _ in range(_CONNECTIONS)])


async def slow_bodies(aim: Aim) -> None:
    """Connections that send a body, a byte now and then."""
    begin = aim.head("Content-Length: 60000") + b"{"
    await _all([_drip(aim, begin) for _ in range(_CONNECTIONS)])


async def _drip(aim: Aim, begin: bytes) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await aim.connect()
            drops = asyncio.create_task(_drop(reader))
            try:
                for at in range(0, len(begin), _PIECE):
                    writer.write(begin[at : at + _PIECE])
                    await writer.drain()
                while not writer.is_closing() and not drops.done():
                    writer.write(b" ")
                    await asyncio.sleep(0.5)
            finally:
                drops.cancel()
                writer.transport.abort()
        await asyncio.sleep(0.05)


async def tiny_chunks(aim: Aim) -> None:
    """A connection that sends a body of chunks of a byte each, as fast as they are taken."""
    head = aim.head("Transfer-Encoding: chunked")
    while True:
        with suppress(OSError):
            reader, writer = await aim.connect()
            drops = asyncio.create_task(_drop(reader))
            writer.write(head)
            while not drops.done():
                writer.write(b"1\r\n \r\n" * 2000)
                await writer.drain()
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)


async def small_chunks(aim: Aim) -> None:
    """Connections without a key that send 64 KB in chunks of five bytes."""
    body = b"5\r\n     \r\n" * 13_000 + b"0\r\n\r\n"
    head = aim.head("Transfer-Encoding: chunked", target="/", key="")
    await _all([_talk(aim, head + body) for _ in range(_CONNECTIONS)])


async def unsent_bodies(aim: Aim) -> None:
    """Connections that state a body and send none of it, more than there are places for."""
    await _all([_once(aim, aim.head("Content-Length: 60000", key="")) for _ in range(1200)])


async def long_lists(aim: Aim) -> None:
    """Four clients that send 16 MB arrays of one row with one long list."""
    row = aim.row.rstrip()[:-1] + b',"x":['
    body = b"[" + row + b"1," * ((_ARRAY - len(row) - 10) // 2) + b"1]}]"
    await _all([_talk(aim, aim.request(body)) for _ in range(4)])


async def empty_lists(aim: Aim) -> None:
    """Two clients that send 16 MB of empty lists."""
    body = b"[[" + b"[]," * ((_ARRAY - 10) // 3) + b"1]]"
    await _all([_talk(aim, aim.request(body)) for _ in range(2)])


async def empty_objects(aim: Aim) -> None:
    """Two clients that send a row with a field of 16 MB of empty objects."""
    row = aim.row.rstrip()[:-1] + b',"x":['
    body = b"[" + row + b"{}," * ((_ARRAY - len(row) - 10) // 3) + b"1]}]"
    await _all([_talk(aim, aim.request(body)) for _ in range(2)])


async def broken_arrays(aim: Aim) -> None:
    """Two clients that send 10,000 rows of which the last is cut off."""
    body = b"[" + b",".join([aim.row] * 9999) + b"," + aim.row[:-5] + b"]"
    await _all([_talk(aim, aim.request(body)) for _ in range(2)])


async def idle(aim: Aim) -> None:
    """Connections that say nothing, more than there are places for."""
    await _all([_once(aim, b"") for _ in range(1200)])


ATTACKS: Final[dict[str, Callable[[Aim], Awaitable[None]]]] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        *(refusals, probes, scores, unread_pages, unread_arrays, half_bodies, slow_heads),
        *(
            slow_bodies,
            tiny_chunks,
            small_chunks,
            unsent_bodies,
            long_lists,
            empty_lists,
            empty_objects,
            broken_arrays,
            idle,
        ),
    )
}


def main() -> None:
    """Attack, for so many seconds."""
    name, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    key, _, row = sys.stdin.buffer.read().partition(b"\n")
    aim = Aim(port, key.decode(), row)

    async def attack() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ATTACKS[name](aim)

    asyncio.run(attack())


if __name__ == "__main__":
    main()
