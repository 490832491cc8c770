"""Requests over HTTP/1.1 for coroutines, by asyncio's streams. Connections are used again."""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from email.message import Message
from http.client import HTTPException, parse_headers
from io import BytesIO
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import urlsplit

from client.calls import Reply
from client.transport import PIECE, Unreachable, address_of, refusal_of

_HEAD: Final = 64 * 1024
# That of http.client, which other libraries of a process set to what they like.
_MOST_HEADERS: Final = 100
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: (.*))?")
_CHUNK: Final = re.compile(rb"[0-9a-fA-F]{1,8}")
_TARGET: Final = re.compile(r"/[!-~]*")
_PLAIN: Final = re.compile(r"[\t -~]*")
_WITHOUT_BODY: Final = (204, 304)


class _Broken(Exception):
    """What came is not a reply of HTTP."""


# What a connection ends with, and what its bytes may be.
_BROKEN: Final = (OSError, EOFError, asyncio.LimitOverrunError, HTTPException, _Broken)


class Pieces(NamedTuple):
    """A body that is sent a piece at a time, and its length."""

    length: int
    content: AsyncIterator[bytes]


Body = bytes | Pieces | None


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Head(NamedTuple):
    """The head of a reply."""

    status: int
    phrase: str
    headers: Message

    @property
    def length(self) -> int | None:
        """The bytes of the body, None for one that comes in chunks or ends with the connection."""
        if self.status in _WITHOUT_BODY:
            return 0
        if self.is_chunked or "Content-Length" not in self.headers:
            return None
        stated = self.headers["Content-Length"]
        if not (stated.isascii() and stated.isdigit()):
            raise _Broken
        return int(stated)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    @property
    def keeps(self) -> bool:
        """Whether the connection may be used again."""
        ends = self.headers.get("Connection", "").lower() == "close"
        return not ends and (self.is_chunked or self.length is not None)


class AsyncTransport:
    """Sends requests to one address, over so many connections at most, in one event loop."""

    def __init__(self, url: str, key: str, connections: int) -> None:
        """Raises ValueError for a wrong address, or a key that no header can hold."""
        self._host, self._port, self._base, secure = address_of(url)
        self._context = ssl.create_default_context() if secure else None
        self._named = {"Host": urlsplit(url).netloc.rpartition("@")[2], "x-api-key": key}
        _check(self._named.values())
        self._idle: deque[_Connection] = deque()
        self._free = asyncio.Semaphore(connections)

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: Body, seconds: float
    ) -> Reply:
        """The reply to a request. Raises Refused or Unreachable; a call may be cancelled."""
        sent = self._encoded(method, path, headers, body)
        try:
            async with asyncio.timeout(seconds), self._free:
                head, text = await self._asked(sent, body if isinstance(body, Pieces) else None)
        except TimeoutError:
            raise Unreachable(f"{self._host}: timed out") from None
        except _BROKEN as error:
            reason = getattr(error, "strerror", None) or "the connection broke off"
            raise Unreachable(f"{self._host}: {reason}") from error
        if head.status >= 400:
            raise refusal_of(head.status, head.phrase, head.headers, text)
        return Reply(head.status, head.headers, text)

    async def close(self) -> None:
        """Close the connections that no request has."""
        while self._idle:
            writer = self._idle.pop().writer
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _encoded(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> bytes:
        """The head of a request, and its body if that is at hand."""
        named = {**self._named, **headers}
        if body is not None:
            named["Content-Length"] = str(body.length if isinstance(body, Pieces) else len(body))
        _check(named.values())
        if not _TARGET.fullmatch(f"{self._base}{path}"):
            raise ValueError("a path must be of printable ASCII characters without blanks")
        lines = [f"{method} {self._base}{path} HTTP/1.1", *(f"{k}: {v}" for k, v in named.items())]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + (
            body if isinstance(body, bytes) else b""
        )

    async def _asked(self, sent: bytes, pieces: Pieces | None) -> tuple[_Head, bytes]:
        """A reply. The service may have ended a connection that was idle: another one is used.

        A body in pieces, which can't be sent twice, has a new one at once.
        """
        while self._idle and pieces is None:
            with suppress(ConnectionError):
                return await self._exchanged(self._idle.pop(), sent, None)
        opened = asyncio.open_connection(self._host, self._port, ssl=self._context, limit=_HEAD)
        return await self._exchanged(_Connection(*await opened), sent, pieces)

    async def _exchanged(
        self, connection: _Connection, sent: bytes, pieces: Pieces | None
    ) -> tuple[_Head, bytes]:
        reader, writer = connection
        is_reusable = False
        try:
            head = await _sent(connection, sent, pieces)
            try:
                text = await _body_of(reader, head)
            except ConnectionError as error:  # no reason to ask again at once
                raise _Broken from error
            # What refuses a body in pieces may have left some of them unread.
            is_reusable = head.keeps and pieces is None
            return head, text
        finally:
            if is_reusable:
                self._idle.append(connection)
            else:
                writer.transport.abort()


async def _sent(connection: _Connection, sent: bytes, pieces: Pieces | None) -> _Head:
    """Send a request, and return the head of the reply."""
    reader, writer = connection
    writer.write(sent)
    if pieces is None:
        with suppress(ConnectionError):  # refused before all was sent: the reply says why
            await writer.drain()
        return await _head_of(reader)
    # A reply before the end of the body must be read at once: the connection may be reset next.
    head = asyncio.create_task(_head_of(reader))
    sending = asyncio.create_task(_send(writer, pieces))
    try:
        await asyncio.wait((head, sending), return_when=asyncio.FIRST_COMPLETED)
        if not head.done():
            with suppress(ConnectionError):
                await sending
        return await head
    finally:
        head.cancel()
        sending.cancel()
        await asyncio.gather(head, sending, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, pieces: Pieces) -> None:
    async for piece in pieces.content:
        writer.write(piece)
        await writer.drain()


async def pieces_of(file: BinaryIO, note: Callable[[int], object]) -> AsyncIterator[bytes]:
    """The content of a file, a piece at a time; `note` gets the length of each."""
    while piece := await asyncio.to_thread(file.read, PIECE):
        note(len(piece))
        yield piece


async def _head_of(reader: asyncio.StreamReader) -> _Head:
    """The head of the reply, past those that are only on the way to it."""
    while True:
        try:
            lines = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise _Broken if error.partial else ConnectionResetError from error
        first, _, rest = lines.partition(b"\r\n")
        found = _STATUS.fullmatch(first)
        if not found or rest.count(b"\r\n") > _MOST_HEADERS + 1:
            raise _Broken
        if int(found[1]) >= 200:
            phrase = (found[2] or b"").decode("latin-1")
            return _Head(int(found[1]), phrase, parse_headers(BytesIO(rest)))


async def _body_of(reader: asyncio.StreamReader, head: _Head) -> bytes:
    if head.is_chunked:
        return b"".join([piece async for piece in _chunks(reader)])
    if head.length is None:
        return await reader.read()
    return await reader.readexactly(head.length)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := _size(await reader.readuntil(b"\r\n")):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass


def _size(line: bytes) -> int:
    """The bytes of a chunk, by the line before it."""
    found = _CHUNK.match(line)
    if not found:
        raise _Broken
    return int(found[0], 16)


def _check(texts: Iterable[str]) -> None:
    """Raise ValueError for a text that would end its line of the head."""
    if not all(map(_PLAIN.fullmatch, texts)):
        raise ValueError("a header must be of printable ASCII characters")
