"""HTTP/1.1 requests out of bytes: llhttp, by httptools, and limits for what it does not bound.

The parser is fed up to where a message may end, and no further: to the end of a head, of a body of
stated length, of a chunk, of a line between chunks. So what follows a request stays unread until
the request is answered, and the first line of every head is seen as it came.
"""

import re
from collections.abc import Callable
from time import perf_counter
from typing import Final, NamedTuple

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from service.server.request import LONGEST_TARGET, MOST_FIELDS, Request, head_fault
from service.telemetry.record import Record

_LONGEST_HEAD: Final = 32 * 1024
# A body may come in so many chunks, and in one more for so many bytes of it. With a byte in each
# chunk, parsing would cost a thousand times what the data is worth.
_FREE_CHUNKS: Final = 1000
_LEAST_CHUNK: Final = 64
# What stands between chunks may be so long: sizes with their extensions, and the trailer.
_LONGEST_FRAMING: Final = 16 * 1024
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]+")
# Pieces of a body are put together from so many bytes on: each piece takes fifty for itself.
_BLOCK: Final = 64 * 1024
# Empty lines before a request, which some old clients send after a body.
_EMPTY_LINES: Final = 2
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_CR: Final = 13


class BadRequest(Exception):
    """Bytes that are not a request; `status` is that of the reply."""

    def __init__(self, status: int = 400) -> None:
        super().__init__(status)
        self.status = status


class Events(NamedTuple):
    """What a parser calls.

    `record` makes a new request's record from its method and headers. `head` is given each request
    when its head is complete, with the status for which it must be refused, 0 for none. `body` is
    given the request when more of its body has come than is `allowed`. Once `refusal` is set, the
    body is not kept.
    """

    record: Callable[[bytes, dict[bytes, bytes]], Record]
    head: Callable[[Request, int], None]
    body: Callable[[Request], None]


class RequestParser:
    """Parses one connection's bytes. After BadRequest it is of no more use.

    `raw_head` is what has come of the head that has begun, `request` the one whose body is coming.
    """

    def __init__(self, events: Events) -> None:
        self.request: Request | None = None
        self._new_record, self._head, self._body = events
        self._parser = HttpRequestParser(self)
        self.raw_head = b""
        self._empty_lines = 0
        # Of a chunked body: the line between chunks that has begun, how much of a chunk with its
        # line end is to come, how many chunks there were, and the bytes between them.
        self._line = b""
        self._chunk_left = 0
        self._chunks = 0
        self._framing = 0
        self._target = b""
        self._fields = 0
        self._headers: dict[bytes, bytes] = {}
        self._repeated: list[bytes] = []
        self._blocks: list[bytes] = []
        self._last_block = bytearray()
        self._is_in_trailer = False
        self._passes_over_head = False

    def feed(self, data: bytes, at: int) -> int:
        """Parse from a place in the data on, as far as a request may end; where that is.

        Raises BadRequest, and what an event's callback raised.
        """
        request = self.request
        if request is None:
            return self._feed_head(data, at)
        if request.missing:
            end = at + request.missing
            self._parse(data[at:end])
            return min(end, len(data))
        if self._chunk_left:
            end = min(at + self._chunk_left, len(data))
            self._chunk_left -= end - at
            self._parse(data[at:end])
            return end
        end = _end_of_line(data, at)
        self._line += data[at:end]
        self._framing += end - at
        self._parse(data[at:end])
        if not request.complete:
            self._end_line(request)
        return end

    def _end_line(self, request: Request) -> None:
        """Note what a line between chunks says, if it has come to its end."""
        if self._framing > _LONGEST_FRAMING + request.received:
            raise BadRequest
        if not self._line.endswith(_LINE_END):
            return
        size = _SIZE.match(self._line)
        self._line = b""
        if size is None or self._is_in_trailer:
            return
        self._chunk_left = int(size[0], 16)
        self._chunks += 1
        if self._chunk_left:
            self._chunk_left += len(_LINE_END)
        else:
            self._is_in_trailer = True
        if self._chunks > _FREE_CHUNKS + request.received // _LEAST_CHUNK:
            raise BadRequest

    def _feed_head(self, data: bytes, at: int) -> int:
        if not self.raw_head and data[at] == _CR and data.startswith(_LINE_END, at):
            return self._pass_over_empty_line(at)
        end = data.find(_HEAD_END, at) + len(_HEAD_END)
        if self.raw_head or end < len(_HEAD_END) or end - at > _LONGEST_HEAD:
            return self._feed_piece(data, at)
        self.raw_head = head = data[at:end]
        self._parse(head)
        self.raw_head = b""
        return end

    def _feed_piece(self, data: bytes, at: int) -> int:
        """The same for a head that does not come at once: what is wrong shows as soon as it can."""
        before = len(self.raw_head)
        self.raw_head = head = self.raw_head + data[at : at + _LONGEST_HEAD]
        if head.startswith(_LINE_END):
            self.raw_head = b""
            return self._pass_over_empty_line(at - before)
        end = head.find(_HEAD_END, max(0, before - len(_HEAD_END)))
        if end >= 0:
            self.raw_head = head = head[: end + len(_HEAD_END)]
        line = head.find(_LINE_END)
        if len(head) > _LONGEST_HEAD:
            raise BadRequest(414 if line < 0 or line > LONGEST_TARGET else 431)
        if line >= 0 and head.count(b" ", 0, line) != 2:
            raise BadRequest
        self._parse(head[before:])
        if end >= 0:
            self.raw_head = b""
        return at + len(head) - before

    def _pass_over_empty_line(self, at: int) -> int:
        self._empty_lines += 1
        if self._empty_lines > _EMPTY_LINES:
            raise BadRequest
        return at + len(_LINE_END)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._ignore_upgrade()
        except HttpParserCallbackError as error:
            raise (error.__context__ or error) from None
        except HttpParserError:
            raise BadRequest from None

    def _ignore_upgrade(self) -> None:
        """Go on as if the request had not asked for another protocol, as RFC 9110 (7.8) allows.

        httptools takes what follows such a head for the other protocol. To have a body parsed, a
        new parser is given a head that says nothing but how it ends.
        """
        self._parser = HttpRequestParser(self)
        request = self.request
        if request is not None:
            chunked, stated = b"Transfer-Encoding: chunked", b"Content-Length: %d" % request.missing
            ends = chunked if request.is_chunked else stated
            self._passes_over_head = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % ends)

    # What httptools calls.

    def on_url(self, piece: bytes) -> None:
        """The request's target, or a piece of it."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; or of the trailer, which means nothing here."""
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise BadRequest(431)
        if self.request is not None:
            return
        name = name.lower()
        if name in self._headers:
            self._repeated.append(name)
            value = self._headers[name] + b"," + value
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is here."""
        if self._passes_over_head:
            self._passes_over_head, self._target = False, b""
            return
        target, headers, repeated = self._target, self._headers, self._repeated
        self._target, self._headers, self._repeated = b"", {}, []
        self._empty_lines = self._fields = self._chunks = self._framing = self._chunk_left = 0
        self._line, self._is_in_trailer = b"", False
        if b" \r\n" in self.raw_head or b"\t" in self.raw_head:  # llhttp leaves those after a value
            headers = {name: value.strip(b" \t") for name, value in headers.items()}
        parser = self._parser
        method = parser.get_method()
        request = Request(
            self._new_record(method, headers),
            method,
            target,
            headers,
            repeated,
            parser.should_keep_alive(),
            perf_counter(),
            missing=int(headers.get(b"content-length", 0)),
        )
        self.request = request
        self._head(request, head_fault(request, self.raw_head))

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        request = self.request
        if request is None:
            return
        size = len(piece)
        request.received += size
        if request.missing:
            request.missing -= size
        if request.received > request.allowed:
            self._body(request)
        if request.refusal is not None:
            self._blocks.clear()
            self._last_block.clear()
        elif size >= _BLOCK or not (request.missing or self._last_block or request.is_chunked):
            self._end_block()
            self._blocks.append(piece)
        else:
            self._last_block += piece
            if len(self._last_block) >= _BLOCK:
                self._end_block()

    def _end_block(self) -> None:
        if self._last_block:
            self._blocks.append(bytes(self._last_block))
            self._last_block.clear()

    def on_message_complete(self) -> None:
        """The request is here to its end."""
        request = self.request
        if request is None or (b"upgrade" in request.headers and self._has_more(request)):
            return
        self._end_block()
        blocks, self._blocks = self._blocks, []
        self.request = None
        request.complete = True
        request.record.body_bytes = request.received
        if blocks:
            request.body = blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _has_more(self, request: Request) -> bool:
        """Whether httptools leaves out a body, since the head asked for another protocol."""
        has_body = request.missing > 0 or (request.is_chunked and not request.received)
        return has_body and self._parser.should_upgrade()


def _end_of_line(data: bytes, at: int) -> int:
    """Where the next line ends, or the data does. A line's two bytes may come apart."""
    if data.startswith(b"\n", at):
        return at + 1
    end = data.find(_LINE_END, at)
    return end + len(_LINE_END) if end >= 0 else len(data)
