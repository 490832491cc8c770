"""The attacks: `python -m loadgen.attacks.attackers NAME PORT SECONDS`, with the key on stdin.

Each is a coroutine that runs until it is cancelled, with no more connections than the edge allows
for one address.
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


class AttackTarget(NamedTuple):
    """The attacked service, with a key and a body that it scores."""

    port: int
    key: str
    row: bytes

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """A new connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=4 * _PIECE)

    def head(self, *lines: str, path: str = "/reg/", key: str | None = None) -> bytes:
        """The head of a POST."""
        fields = ("Host: a", f"x-api-key: {self.key if key is None else key}")
        kind = "Content-Type: application/json"
        return "\r\n".join((f"POST {path} HTTP/1.1", *fields, kind, *lines, "", "")).encode()

    def request(self, body: bytes, path: str = "/reg/") -> bytes:
        """A whole POST."""
        return self.head(f"Content-Length: {len(body)}", path=path) + body


async def _talk(target: AttackTarget, data: bytes, *, reads: bool = True) -> None:
    """Send the same bytes repeatedly on one connection; read the replies if `reads`."""
    while True:
        with suppress(OSError):
            reader, writer = await target.connect()
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


async def refusals(target: AttackTarget) -> None:
    """One connection that pipelines requests without a key."""
    await _talk(target, target.head("Content-Length: 0", key="") * 100)


async def probes(target: AttackTarget) -> None:
    """Six connections that pipeline probes."""
    await _all([_talk(target, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 100) for _ in range(6)])


async def scores(target: AttackTarget) -> None:
    """Six connections that pipeline scores."""
    await _all([_talk(target, target.request(target.row) * 20) for _ in range(6)])


async def unread_pages(target: AttackTarget) -> None:
    """Connections that request a large page twenty times, and read nothing."""
    requests = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n" * 20
    await _all([_once(target, requests) for _ in range(_CONNECTIONS)])


async def unread_arrays(target: AttackTarget) -> None:
    """Connections that request scores of arrays with details, and read nothing."""
    rows = b"[" + b",".join([target.row] * 5000) + b"]"
    await _all([_once(target, target.request(rows, "/reg/?detail=1")) for _ in range(20)])


async def _once(target: AttackTarget, data: bytes) -> None:
    """Send the bytes, read nothing, hold the connection until the server closes it; repeat."""
    while True:
        with suppress(OSError):
            _, writer = await target.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            try:
                writer.write(data)
                while not writer.is_closing():
                    await asyncio.sleep(0.1)
                    writer.write(b"")
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.05)


async def half_bodies(target: AttackTarget) -> None:
    """A hundred connections that send all but the last thousand bytes of a long array."""
    head = target.head(f"Content-Length: {_ARRAY}")
    await _all([_drip(target, head + b"[" + b" " * (_ARRAY - 1000)) for _ in range(100)])


async def slow_heads(target: AttackTarget) -> None:
    """Connections that send a request head byte by byte."""
    await _all([_drip(target, b"GET /healthz HTTP/1.1\r\nHost: ") for _ in range(_CONNECTIONS)])


async def slow_bodies(target: AttackTarget) -> None:
    """Connections that send a body byte by byte."""
    begin = target.head("Content-Length: 60000") + b"{"
    await _all([_drip(target, begin) for _ in range(_CONNECTIONS)])


async def _drip(target: AttackTarget, begin: bytes) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await target.connect()
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


async def tiny_chunks(target: AttackTarget) -> None:
    """A connection that sends a body in chunks of one byte, as fast as the server reads."""
    head = target.head("Transfer-Encoding: chunked")
    while True:
        with suppress(OSError):
            reader, writer = await target.connect()
            drops = asyncio.create_task(_drop(reader))
            writer.write(head)
            while not drops.done():
                writer.write(b"1\r\n \r\n" * 2000)
                await writer.drain()
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)


async def small_chunks(target: AttackTarget) -> None:
    """Connections without a key that send 64 KB in chunks of five bytes."""
    body = b"5\r\n     \r\n" * 13_000 + b"0\r\n\r\n"
    head = target.head("Transfer-Encoding: chunked", path="/", key="")
    await _all([_talk(target, head + body) for _ in range(_CONNECTIONS)])


async def unsent_bodies(target: AttackTarget) -> None:
    """Connections that announce a body and send none, more than the server accepts."""
    await _all([_once(target, target.head("Content-Length: 60000", key="")) for _ in range(1200)])


async def long_lists(target: AttackTarget) -> None:
    """Four clients that send 16 MB arrays of one row with one long list."""
    row = target.row.rstrip()[:-1] + b',"x":['
    body = b"[" + row + b"1," * ((_ARRAY - len(row) - 10) // 2) + b"1]}]"
    await _all([_talk(target, target.request(body)) for _ in range(4)])


async def empty_lists(target: AttackTarget) -> None:
    """Two clients that send 16 MB of empty lists."""
    body = b"[[" + b"[]," * ((_ARRAY - 10) // 3) + b"1]]"
    await _all([_talk(target, target.request(body)) for _ in range(2)])


async def empty_objects(target: AttackTarget) -> None:
    """Two clients that send a row with a field of 16 MB of empty objects."""
    row = target.row.rstrip()[:-1] + b',"x":['
    body = b"[" + row + b"{}," * ((_ARRAY - len(row) - 10) // 3) + b"1]}]"
    await _all([_talk(target, target.request(body)) for _ in range(2)])


async def broken_arrays(target: AttackTarget) -> None:
    """Two clients that send 10,000 rows, the last of them truncated."""
    body = b"[" + b",".join([target.row] * 9999) + b"," + target.row[:-5] + b"]"
    await _all([_talk(target, target.request(body)) for _ in range(2)])


async def idle(target: AttackTarget) -> None:
    """Connections that send nothing, more than the server accepts."""
    await _all([_once(target, b"") for _ in range(1200)])


ATTACKS: Final[dict[str, Callable[[AttackTarget], Awaitable[None]]]] = {
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
    """Run an attack for so many seconds."""
    name, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    key, _, row = sys.stdin.buffer.read().partition(b"\n")
    target = AttackTarget(port, key.decode(), row)

    async def attack() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ATTACKS[name](target)

    asyncio.run(attack())


if __name__ == "__main__":
    main()
