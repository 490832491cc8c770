"""HTTP/1.1 requests out of bytes: llhttp, by httptools, and limits for what it does not bound."""

from collections.abc import Callable
from time import perf_counter
from typing import Final, NamedTuple

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from service.record import Record
from service.server.request import LONGEST_TARGET, Request, head_fault

_LONGEST_HEAD: Final = 32 * 1024
# What the framing of chunks may add to a body: so much, and as much again as there is data. With
# a byte in each chunk, parsing would cost a thousand times what the data is worth.
_CHUNK_FRAMING: Final = 16 * 1024


class BadRequest(Exception):
    """Bytes that are no request; `status` is that of the reply."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Events(NamedTuple):
    """What a parser calls.

    `record` makes a new request's record from its method and headers. `head` is given each request when its
    head is complete, with the status for which it must be refused, 0 for none. `body` is given the
    request when more of its body has come than is `allowed`. Once `refusal` is set, the body is not
    kept.
    """

    record: Callable[[bytes, dict[bytes, bytes]], Record]
    head: Callable[[Request, int], None]
    body: Callable[[Request], None]


class RequestParser:
    """Parses one connection's bytes. After BadRequest it is of no more use.

    `request` is the one whose body is being received; `in_head` is whether a head has begun.
    """

    def __init__(self, events: Events) -> None:
        self.request: Request | None = None
        self.in_head = False
        self._new_record, self._head, self._body = events
        self._parser = HttpRequestParser(self)
        self._bytes = 0  # of this head, or of this chunked body
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated: list[bytes] = []
        self._pieces: list[bytes] = []
        self._passes_over_head = False

    def feed(self, data: bytes) -> None:
        """Parse. Raises BadRequest, and what an event's callback raised."""
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except HttpParserCallbackError as error:
            raise (error.__context__ or error) from None
        except HttpParserError:
            raise BadRequest(400) from None
        if self._bytes > _CHUNK_FRAMING:
            self._check_size()

    def _check_size(self) -> None:
        request = self.request
        if request is None:
            if self._bytes > _LONGEST_HEAD:
                too_long = 414 if len(self._target) > LONGEST_TARGET else 431
                raise BadRequest(too_long if self.in_head else 400)
        elif not request.missing and self._bytes > _CHUNK_FRAMING + 2 * request.received:
            raise BadRequest(400)

    def _ignore_upgrade(self, rest: bytes) -> None:
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
        if rest:
            self.feed(rest)

    # What httptools calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._passes_over_head:
            self.in_head = True
            self._target, self._headers, self._repeated = b"", {}, []

    def on_url(self, piece: bytes) -> None:
        """The request's target, or a piece of it."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; or of the trailer, which means nothing here."""
        if not self.in_head:
            return
        name = name.lower()
        if name in self._headers:
            self._repeated.append(name)
            value = self._headers[name] + b"," + value
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is here."""
        if self._passes_over_head:
            self._passes_over_head = False
            return
        self.in_head, self._bytes = False, 0
        parser, headers = self._parser, self._headers
        method = parser.get_method()
        request = Request(
            self._new_record(method, headers),
            method,
            self._target,
            headers,
            self._repeated,
            parser.should_keep_alive(),
            perf_counter(),
            missing=int(headers.get(b"content-length", 0)),
        )
        self.request = request
        self._head(request, head_fault(request, parser.get_http_version()))

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
        if request.refusal is None:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def on_message_complete(self) -> None:
        """The request is here to its end."""
        request = self.request
        if request is None or self._has_more(request):
            return
        pieces, self._pieces = self._pieces, []
        self.request, self._bytes = None, 0
        request.complete = True
        if pieces:
            request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _has_more(self, request: Request) -> bool:
        """Whether httptools leaves out a body, since the head asked for another protocol."""
        has_body = request.missing > 0 or (request.is_chunked and not request.received)
        return has_body and b"upgrade" in request.headers and self._parser.should_upgrade()
