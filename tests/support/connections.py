"""Connections of a site in this process: the server's, and the client's end of a socket pair."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from service.server.connection import Connection
from service.server.site import Site
from tests.support.reply import Reply

PATIENCE = 20.0
Connect: TypeAlias = Callable[..., Any]
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class Client:
    """The client's end, which reads little ahead; `connection` is the server's."""

    def __init__(self, connection: Connection, reader: StreamReader, writer: StreamWriter) -> None:
        self.connection = connection
        self.writer = writer
        self._reader = reader

    def send(self, *pieces: bytes) -> None:
        """Send bytes, without waiting until they are taken."""
        for piece in pieces:
            self.writer.write(piece)

    def end(self) -> None:
        """Send no more, but read on."""
        self.writer.write_eof()

    async def reply(self, *, to_head: bool = False) -> Reply:
        """The next reply. Raises IncompleteReadError when the connection ends before it."""
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *lines = head[:-4].decode("latin-1").split("\r\n")
            headers = [(name, value) for name, _, value in (one.partition(": ") for one in lines)]
            sizes = [int(value) for name, value in headers if name == "Content-Length"]
            size = 0 if to_head or not sizes else sizes[0]
            body = await self._reader.readexactly(size)
        version, status, *_ = line.split(" ")
        assert version == "HTTP/1.1"
        return Reply(int(status), headers, body)

    async def ask(self, *pieces: bytes) -> Reply:
        """Send a request, read the reply."""
        self.send(*pieces)
        return await self.reply()

    async def some(self, size: int) -> bytes:
        """The next bytes, of whatever they are."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readexactly(size)

    async def ended(self) -> bytes:
        """What came until the connection ended; a reset is an end too."""
        received = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while piece := await self._reader.read(65536):
                    received += piece
            except ConnectionError:
                pass
        return received

    async def close(self) -> None:
        """Close the client's end, whatever has come."""
        self.writer.transport.abort()
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Let the loop run until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0)


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Client]:
    """A client of a site."""
    ours, theirs = socket.socketpair()
    async with AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(partial(Connection, site), ours)
        stack.callback(connection.transport.abort)
        reader, writer = await asyncio.open_unix_connection(sock=theirs)
        client = Client(connection, reader, writer)
        stack.push_async_callback(client.close)
        yield client


def post(body: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /x HTTP/1.1\r\nHost: a\r\n" + length + lines + b"\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


async def settled(client: Client, waits_for: int) -> None:
    await until(lambda: client.connection.waits_for == waits_for)
