"""One client's connection: bytes in, replies out.

One request of a connection is answered in an iteration of the loop at most, and few steps of
parsing are taken, however much its client has sent. The rest stays unparsed and nothing more is
read. It is parsed in later iterations, for a millisecond in each for all connections together, with
pauses where that is not enough. So neither one client nor a thousand can occupy the loop.
"""

import fcntl
import termios
from asyncio import Protocol, get_running_loop
from contextlib import suppress
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from service.http.reply import Reply, fail
from service.server.parser import BadRequest, Events, RequestParser
from service.server.request import Request

if TYPE_CHECKING:
    from service.server.site import Patience, Site

# A close with unread bytes resets the connection, and the client may never see the reply: so much
# is read and dropped, for so long.
_DROPPED_AT_END: Final = 16 * 1024 * 1024
_END_SECONDS: Final = 1.0
# For so long, when the connection is evicted: what the kernel holds of a body comes at once.
_LAST_READ_SECONDS: Final = 0.001
# Steps of parsing at a time: heads, chunks, lines between chunks. With 16, an array of 10 KB in
# small chunks waits for five calls of the model after its deadline before it is refused.
_STEPS: Final = 32
# The same for bytes that have just come: five hundred clients may send in the same iteration.
_FIRST_STEPS: Final = 4
# A client that takes less of a reply than so much in so long does not read.
_LEAST_TAKEN: Final = 16 * 1024
_SEND_SECONDS: Final = 10.0
# When others wait for a place: a connection that has had no reply yet has been idle for so much
# longer than it was. Clients that hold on to kept connections have their reasons.
_NEW_SECONDS: Final = 0.95
# A body for which room is reserved must not stand still for longer.
_STALL_SECONDS: Final = 5.0
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# What a connection waits for: the start of a request, the rest of its head or body, its reply,
# or, after the last reply, the client's end.
IDLE, HEAD, BODY, REPLY, END = range(5)


class Connection(Protocol):
    """One connection. It `waits_for` something `since` a time of `monotonic`."""

    def __init__(self, site: "Site") -> None:
        self.waits_for = IDLE
        self.since = monotonic()
        self.transport: Any = None
        self._site = site
        self._parser = RequestParser(Events(site.record, self._head, site.body_grew))
        self._request: Request | None = None  # whose reply is to come next
        self._answering = False
        # Answering, or the client does not read, or the loop's next iteration goes on: nothing is
        # parsed.
        self._busy = False
        self._is_queued = False
        self._is_new = True  # no reply yet
        # What has come and is not parsed yet: these bytes from this place on.
        self._unparsed = b""
        self._parsed_to = 0
        self._parses_no_more = False
        self._client_ended = False
        self._write_paused = False
        self._lost = False
        self._dropped = 0
        self._came = 0.0  # when the newest bytes of a body did
        # Bytes of replies that the client had not taken when it was last looked at, and since when.
        self._unsent = 0
        self._unsent_since = 0.0

    @property
    def takes_pages(self) -> bool:
        """Whether a long page that needs no key may be sent now."""
        return self._site.takes_pages

    @property
    def peer(self) -> str:
        """The client's IP address; "" on a Unix socket."""
        name = self.transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    # What the transport calls.

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        self.transport = transport
        self._site.joined(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._busy:
            self._keep(data)
        elif self._parses_no_more:
            self._drop(len(data))
        else:
            self._parse(data, 0, _FIRST_STEPS)

    def eof_received(self) -> bool:
        """The client sends no more, but may still read."""
        self._client_ended = True
        if not self._busy:
            self._end_of_input()
        return True  # the connection is closed here, once all is answered

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        self._write_paused = True
        self._site.unsent_grew(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has read most of it."""
        self._write_paused = False
        self._site.unsent_went(self)
        if self._busy and not self._answering:
            self._queue()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        del exc
        self._lost = True
        self._site.left(self)
        self._unparsed = b""
        if self._request is not None and not self._answering:
            self._site.release(self._request)

    # Requests in.

    def _parse(self, data: bytes, at: int, steps: int) -> None:
        """Feed the parser until a request is to be answered, in so many steps at most."""
        end = len(data)
        while at < end:
            steps -= 1
            if steps < 0:
                self._note_wait()
                self._keep(data, at)
                return
            try:
                at = self._parser.feed(data, at)
            except BadRequest as fault:
                self._stop_parsing(fault.status)
            except Exception as error:  # noqa: BLE001 - it concerns this connection alone
                self._site.failed(error)
                self._stop_parsing(500)
            request = self._request
            if request is not None and (request.complete or request.refusal is not None):
                self._busy = self._answering = True
                if at < end and request.keep_alive:  # else nothing more is parsed
                    self._keep(data, at)
                self._answer(request)
                return
            if self._parses_no_more:
                self.transport.close()
                return
        self._note_wait()

    def _head(self, request: Request, fault: int) -> None:
        """A request's head is complete."""
        self._request = request
        if fault:
            self._refuse(request, fault)
        else:
            self._site.admit(request)

    def _stop_parsing(self, status: int, reason: str = "") -> None:
        """What has come is not HTTP, or not all of it: refuse the request that it is part of."""
        self._parses_no_more = True
        if self._parser.request is None:
            self._request = self._site.unparsed()
        if self._request is not None and self._request.refusal is None:
            self._refuse(self._request, status, reason)

    @staticmethod
    def _refuse(request: Request, status: int, reason: str = "") -> None:
        request.refusal = fail(status, reason or HTTPStatus(status).phrase.lower())
        request.keep_alive = False

    def _keep(self, data: bytes, at: int = 0) -> None:
        """Leave bytes unparsed for now, from a place on, and read no more.

        They are not copied: of 130 KB in chunks of five bytes, copies took half of the time.
        """
        if self._parses_no_more:
            return
        if self._unparsed:
            self._unparsed = self._unparsed[self._parsed_to :] + data[at:]
            self._parsed_to = 0
        else:
            self._unparsed, self._parsed_to = data, at
        self.transport.pause_reading()
        self._go_on_soon()

    def _note_wait(self) -> None:
        request = self._parser.request
        if request is None:
            self._wait_for(HEAD if self._parser.raw_head else IDLE)
            return
        self._came = monotonic()
        if self.waits_for != BODY:
            self._wait_for(BODY)
            # A client may hold the body back until it receives 100 Continue.
            if b"expect" in request.headers and request.refusal is None and not request.received:
                self.transport.write(_CONTINUE)

    def _wait_for(self, what: int) -> None:
        if what != self.waits_for:
            self.waits_for, self.since = what, monotonic()

    # Replies out.

    def _answer(self, request: Request) -> None:
        """Begin to answer a request that is complete, or refused."""
        self._busy = self._answering = True
        self.waits_for = REPLY
        if request.refusal is not None:
            self.reply(request, request.refusal)
        elif request.endpoint is not None:
            request.endpoint.answer(request, self)

    def _answer_refused(self) -> None:
        """Answer the request that is next if it is refused; else there is nothing to wait for."""
        if self._request is not None and self._request.refusal is not None:
            self._answer(self._request)
        else:
            self.transport.close()

    def reply(self, request: Request, reply: Reply) -> None:
        """Send the reply to the request that is being answered."""
        self.respond(request, reply.status, reply.fields, reply.body)

    def respond(self, request: Request, status: int, fields: bytes, body: bytes) -> None:
        """The same of a reply's parts; `fields` are header lines with their ends."""
        self._request = None
        self._answering = self._is_new = False
        if not self._lost:
            self.transport.write(self._site.message(request, status, fields, body))
        self._site.answered(request, status)
        if self._lost:
            return
        if not request.keep_alive:
            self._end()
            return
        self._busy = self._write_paused  # no more replies to a client that does not read
        self._note_wait()
        if self._unparsed or self._client_ended:
            self._go_on_soon()

    def _go_on_soon(self) -> None:
        """Go on with what has come in one of the loop's next iterations."""
        if self._answering:
            return
        if self._parser.request is None:
            self.waits_for = REPLY  # what has come is not idle, however long its client reads
        self._busy = True
        self._queue()

    def _queue(self) -> None:
        if not self._is_queued:
            self._is_queued = True
            self._site.parse_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_queued = False
        if self._lost or self._write_paused or self._answering or self._parses_no_more:
            return
        self._busy = False
        data, self._unparsed = self._unparsed, b""
        if data:
            self.transport.resume_reading()
            self._parse(data, self._parsed_to, _STEPS)
        if self._client_ended and not self._busy:
            self._end_of_input()

    def _end_of_input(self) -> None:
        """The client has sent its last byte, and all before it is parsed."""
        if not self._parses_no_more:
            if self._parser.request is not None:
                self._stop_parsing(400, "the body ends before its Content-Length")
            elif self._parser.raw_head:
                self._stop_parsing(400)
        self._answer_refused()

    def _end(self) -> None:
        """The last reply was sent."""
        self._parses_no_more, self._busy = True, False
        self._unparsed = b""
        if self._client_ended:
            self.transport.close()
        else:
            self._wait_for(END)
            self.transport.write_eof()
            self.transport.resume_reading()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > _DROPPED_AT_END or not self._site.drop(size):
            # Not ended yet: a client that goes on sending would connect again at once.
            self.transport.pause_reading()

    # Time.

    def check(self, now: float, patience: "Patience") -> None:
        """End what has taken too long."""
        waited = now - self.since
        if self._does_not_read(now):
            self.transport.abort()
        elif self.waits_for == IDLE:
            if waited > patience.idle:
                self.transport.close()
        elif self.waits_for == HEAD:
            if waited > patience.head:
                self.transport.close()
        elif self.waits_for == BODY:
            if waited > patience.body or self._is_stalled(now):
                self._stop_parsing(408, "the body did not arrive in time")
                self._answer_refused()
        elif self.waits_for == END and self._is_over(now):
            self.transport.abort()

    def _is_over(self, now: float) -> bool:
        """Whether the client has had its last reply for a while, and leaves the connection open."""
        if self.transport.get_write_buffer_size():
            self.since = now
        waited = now - self.since
        return waited > _END_SECONDS and (waited > _SEND_SECONDS or not self._kernel_holds_reply())

    def _kernel_holds_reply(self) -> bool:
        """Whether bytes have not reached the client yet: an end now would take them away."""
        ours = self.transport.get_extra_info("socket")
        held = b"\0\0\0\0"
        with suppress(OSError, ValueError, AttributeError):  # closed; or no socket at all
            held = fcntl.ioctl(ours.fileno(), termios.TIOCOUTQ, held)
        return any(held)

    def _is_stalled(self, now: float) -> bool:
        """Whether nothing comes of a body for which room is reserved."""
        request = self._request
        return request is not None and request.reserved > 0 and now - self._came > _STALL_SECONDS

    def rank(self, idle_since: float) -> tuple[int, float] | None:
        """The order of eviction, least first; None for a connection that must stay.

        First idle connections, then those that end, then those with the slowest bodies, without
        a key before others, then clients that do not read.
        """
        request = self._request
        known = request is not None and request.refusal is None and request.record.key_name
        since = self.since - _NEW_SECONDS if self.is_worth_little else self.since
        if since > idle_since or (self.waits_for == REPLY and not self._write_paused):
            return None
        if self.waits_for == BODY:
            received = request.received if request is not None else 0
            return (3 if known else 2), received / max(monotonic() - self.since, 0.001)
        return {IDLE: 0, HEAD: 0, END: 1, REPLY: 4}[self.waits_for], self.since

    @property
    def is_worth_little(self) -> bool:
        """Whether it has had no reply yet, or waits for the rest of a refused body only."""
        request = self._request
        if request is None:
            return self._is_new or self.waits_for == BODY
        return self._is_new and not request.record.key_name

    def evict(self) -> None:
        """Make room for another connection, in one of the loop's next iterations."""
        if self.waits_for in {END, REPLY}:
            self.transport.abort()
            return
        if self.waits_for == BODY:
            self._stop_parsing(408, "the body does not arrive, and others need the connection")
            self._answer_refused()
            get_running_loop().call_later(_LAST_READ_SECONDS, self.transport.close)
        else:
            self.transport.close()
        self.waits_for = END

    def _does_not_read(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        taken = self._unsent - unsent
        if not unsent or taken < 0 or taken >= _LEAST_TAKEN:
            self._unsent, self._unsent_since = unsent, now
            return False
        return now - self._unsent_since > _SEND_SECONDS
