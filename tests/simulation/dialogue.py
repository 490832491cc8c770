"""One connection, seen at the server's socket, and the rules for it.

What the server should do with it is worked out from the bytes that have come and the replies that
were written, not from what the server says of itself.
"""

import json
from typing import TYPE_CHECKING, Final

from service.overload.admission import ARRAY_BYTES
from service.server.connection import REPLY
from tests.simulation.network import Socket, Watcher
from tests.simulation.requests import SETTINGS, Reply, Spec, take_reply

if TYPE_CHECKING:
    from tests.simulation.audit import Audit
    from tests.simulation.server import Server

# The server's limits in seconds: between requests, for a head, for a body, for a client that does
# not read, for its end after the last reply; and how often the server looks.
_IDLE: Final = float(SETTINGS.keepalive)
_HEAD: Final = _IDLE
_BODY: Final = 20.0
_UNREAD: Final = 10.0
_END: Final = 1.0
_LOOKS: Final = 1.0
# A client that has taken so many bytes does read.
_LEAST_TAKEN: Final = 16 * 1024
# For so long an array of a client that has gone may still be scored.
_GONE: Final = 5.0
# For so long nothing may be read of a connection, while bytes of others are parsed in turn.
_PAUSE: Final = 0.1
# How often a worker may call the model before it refuses a request with a missed deadline.
_LAST_CALLS: Final = 4


class Dialogue(Watcher):
    """What a client sends, what of it comes, and what is written to it."""

    def __init__(self, audit: "Audit", name: str) -> None:
        self.name = name
        self.socket: Socket | None = None
        self.server: Server | None = None  # the server that has accepted it
        self.specs: list[Spec] = []
        self.replies: list[Reply] = []
        self.written = 0
        self.read = 0  # by the client
        self.reads_all = False  # whether the client has read until the end, at once
        self.closed = ""  # how the server's side ended
        self._audit = audit
        self._closed_at = 0.0
        self._sent = 0
        self._sent_at = 0.0
        self._received = 0
        self._client_ended = False
        self._buffer = bytearray()
        self._continued = False
        # Since when nothing keeps the server from reading, and what calls had held it up by then.
        self._since = self._held = 0.0
        self._paused_at: float | None = None  # nothing is read since, without what calls took
        self._unsent = self._left_unsent = 0
        self._unsent_since = self._unsent_held = 0.0

    # The client.

    def begin(self, spec: Spec) -> None:
        """The client begins to send a request."""
        spec.begin = self.specs[-1].end if self.specs else 0
        self.specs.append(spec)
        self._audit.expect(self, spec)
        text = f"{self.name} sends {spec.name}: {spec.kind}, {len(spec.raw)} bytes"
        self._audit.note(f"{text}, deadline {spec.seconds} s" if spec.seconds else text, spec.kind)

    def sent(self, size: int) -> None:
        """The client has sent so many more bytes."""
        self._sent += size
        self._sent_at = self._audit.now
        for spec in self.specs:
            if spec.sent is None and spec.end <= self._sent:
                spec.sent = self._audit.now

    # The server's socket.

    def accepted(self, server: "Server", socket: Socket) -> None:
        """A worker has accepted it."""
        self.server, self.socket = server, socket
        self._audit.note(f"{self.name} is accepted by worker {server.number}")
        self._restart()
        server.open.append(self)

    def lost(self) -> None:
        if self.server is not None:
            self.server.open.remove(self)
        self._audit.due.pop(self, None)

    def received(self, data: bytes) -> None:
        owed = self._has_more_to_come
        self._received += len(data)
        if owed and not self._has_more_to_come:
            self._restart()
        now = self._audit.now
        for spec in self.specs:
            if spec.began is None and spec.begin < self._received:
                spec.began = now
            if spec.head_came is None and spec.begin + spec.head <= self._received:
                spec.head_came = now
            if spec.came is None and spec.end <= self._received:
                spec.came = now
        self._note_latest()
        self._audit.note(f"{self.name}: {len(data)} bytes come, {self._received} in all")

    def ended(self) -> None:
        self._client_ended = True
        self._audit.note(f"{self.name}: the client ends its side")

    def wrote(self, data: bytes) -> None:
        self.written += len(data)
        self._buffer += data
        while self._buffer:
            spec = self.next
            reply = take_reply(self._buffer, has_no_body=spec is not None and spec.has_no_body)
            if reply is None:
                self._audit.breaks(f"{self.name} gets a part of a reply")
                return
            if reply.status == 100:
                self._check_continue(spec)
            elif spec is None:
                self._audit.breaks(f"{self.name} gets a {reply.status} to nothing")
            else:
                self._check_reply(spec, reply)

    def closes(self, how: str) -> None:
        if kind := self._kind_of_end(how):
            self._audit.counts[kind] += 1
        if how == "no place" and not all(server.is_full for server in self._audit.servers):
            self._audit.breaks(f"{self.name} is not accepted, though there are places")
        if self.socket is not None:
            self._left_unsent = self.socket.get_write_buffer_size()
        self._closed_at = self._closed_at if self.closed else self._audit.now
        self.closed = how  # a close may be followed by an abort, while the client does not read
        self._audit.note(f"{self.name}: the server's side ends: {how}")

    def _kind_of_end(self, how: str) -> str:
        """What kind of end by the server it is, "" for that of a dialogue that is over."""
        socket, spec, now = self.socket, self.next, self._audit.now
        if how == "abort" and socket is not None:
            if self._audit.was_hurried and self._audit.stopped is not None:
                return "end: at once"
            if not socket.get_write_buffer_size():
                return "end: a client that goes on sending"
            is_old = now - self._unsent_since > _UNREAD
            return "end: a client that does not read" if is_old else "end: too much is unsent"
        if how == "close" and not self._client_ended and not self.is_over:
            if spec is None or spec.began is None:
                return "end: an idle connection"
            return "end: a slow head" if spec.head_came is None else "end: a slow body"
        return ""

    @property
    def next(self) -> Spec | None:
        """The request whose reply is to come next."""
        return self.specs[len(self.replies)] if len(self.replies) < len(self.specs) else None

    @property
    def is_over(self) -> bool:
        """Whether the last reply was given."""
        return bool(self.replies) and self.replies[-1].closes

    @property
    def _has_more_to_come(self) -> bool:
        """Whether the last request was refused before all of it had come."""
        return bool(self.replies) and self._received < self.specs[len(self.replies) - 1].end

    @property
    def is_open(self) -> bool:
        """Whether the server has it open."""
        return self.socket is not None and not self.socket.is_lost

    @property
    def is_busy(self) -> bool:
        """Whether a request has begun to come, and is not answered."""
        spec = self.next
        is_there = self.is_open or self._audit.now < self._closed_at + _GONE
        return is_there and spec is not None and spec.began is not None

    def was_busy(self, since: float) -> bool:
        """Whether it has been since then; a reply that is not read counts too."""
        is_unread = self.socket is not None and self.socket.is_stuffed
        answered = any((spec.answered or 0.0) >= since for spec in self.specs)
        return self.is_busy or is_unread or answered

    def when_begun(self, spec: Spec) -> float:
        """When a request was begun whose rows are just being scored: an array, with its turn."""
        is_array = spec.size > ARRAY_BYTES and not spec.waits_in_thread
        return self.server.admission.turn if is_array and self.server else self._audit.now

    def _note_latest(self) -> None:
        """The deadline of the next request, if its head has just come.

        Of those that come before the reply to another, the time begins when they are parsed.
        """
        spec = self.next
        if spec is None or not spec.seconds or spec.head_came != self._audit.now or self.is_over:
            return
        if self.socket is not None and not self.socket.is_stuffed:
            spec.latest = self._audit.now + spec.seconds
            self._audit.due[self] = spec

    def _check_continue(self, spec: Spec | None) -> None:
        self._audit.note(f"{self.name}: 100 Continue", "100 Continue")
        if spec is None or not spec.expects or self._continued:
            self._audit.breaks(f"{self.name} gets a 100 that it does not expect")
        self._continued = True

    def _check_reply(self, spec: Spec, reply: Reply) -> None:
        audit, text = self._audit, _text_of(reply)
        end = "closes" if reply.closes else "keeps"
        audit.note(
            f"{self.name}: {reply.status} to {spec.name} by {reply.version}, {end}: {text}",
            f"{reply.status} {text}",
        )
        came = spec.came is not None
        if self.is_over:
            audit.breaks(f"{spec.name} is answered after the last reply")
        if self.socket is not None and self.socket.is_stuffed:
            audit.breaks(f"{spec.name} is answered, though its client reads no replies")
        if fault := spec.fault_of(reply, came=came):
            audit.breaks(f"{spec.name}: {fault}")
        if self.server is not None and self.server.stopped and not reply.closes:
            audit.breaks(f"{spec.name} keeps its connection, though the server stops")
        if reply.status == 429 and self._has_no_cause(spec):
            audit.breaks(f"{spec.name} is refused, though nothing else is to do: {text}")
        spec.reply, spec.answered = reply, audit.now
        self.replies.append(reply)
        self._continued = False
        self._restart()

    def _has_no_cause(self, spec: Spec) -> bool:
        """Whether no other request was there in its time."""
        others = (dialogue for dialogue in self._audit.dialogues if dialogue is not self)
        since = spec.began or 0.0
        was_alone = not any(other.was_busy(since) for other in others)
        return spec.seconds is None and was_alone

    # At each step.

    def check_deadline(self, spec: Spec) -> None:
        """A request that has missed its deadline is refused soon."""
        audit = self._audit
        if spec.reply is not None or spec.scoring_began is not None or spec.waits_in_thread:
            del audit.due[self]
        elif spec.latest is None or audit.now <= spec.latest or spec.came is None:
            return
        elif spec.calls_then is None:
            spec.calls_then, spec.free_then = audit.calls, audit.now - audit.held
        elif (
            audit.calls > spec.calls_then + _LAST_CALLS * len(audit.servers)
            and audit.now - audit.held > spec.free_then + _PAUSE
        ):
            audit.breaks(f"{spec.name} waits on, past its deadline")

    def check_waiting(self) -> None:
        """When nothing more happens before time goes on."""
        socket, server = self.socket, self.server
        if socket is None or server is None:
            return
        self._check_unread(socket)
        if self.closed:
            return
        spec = self.next
        if spec is not None and spec.came is not None and not self.is_over:
            if server.waits_for(socket) == REPLY:
                self._paused_at = None
            elif socket.is_paused:
                self._check_read_on(socket)
            else:
                self._audit.breaks(f"{spec.name} has come, and is not being answered")
        elif socket.is_stuffed:
            self._paused_at = None
            self._restart()
        else:
            self._check_patiences(spec)
            self._check_read_on(socket)

    def _check_patiences(self, spec: Spec | None) -> None:
        """What the server waits for, it does not wait for too long."""
        if self.is_over:
            self._check_patience("its end", _END)
        elif self._has_more_to_come:
            self._check_patience("the rest of a body", _BODY)
        elif spec is None or spec.began is None:
            self._check_patience("a request", _IDLE)
        elif spec.head_came is None:
            self._check_patience("a head", _HEAD)
        else:
            self._check_patience("a body", _BODY)

    def _check_read_on(self, socket: Socket) -> None:
        """Nothing is being answered: what has come is read, if not at once then soon."""
        if not socket.is_paused:
            self._paused_at = None
        elif self._paused_at is None:
            self._paused_at = self._audit.now - self._audit.held
        elif self._audit.now - self._audit.held > self._paused_at + _PAUSE:
            self._audit.breaks(f"{self.name} is not read, though nothing is being answered")

    def _restart(self) -> None:
        self._since, self._held = self._audit.now, self._audit.held

    def _check_patience(self, what: str, seconds: float) -> None:
        spec, since = self.next, self._since
        if spec is not None and not self.is_over:
            since = max(since, spec.head_came or spec.began or since)
        waited = self._audit.now - since - (self._audit.held - self._held)
        if waited > seconds + 2 * _LOOKS and not (self.is_over and self._unsent):
            self._audit.breaks(f"{self.name} has waited {waited:g} s for {what}")

    def _check_unread(self, socket: Socket) -> None:
        unsent, now = socket.get_write_buffer_size(), self._audit.now
        taken = self._unsent - unsent
        if self.is_over and taken > 0 and not unsent:
            self._restart()  # only now it has the last reply
        if not unsent or taken < 0 or taken >= _LEAST_TAKEN:
            self._unsent, self._unsent_since, self._unsent_held = unsent, now, self._audit.held
        elif now - self._unsent_since - (self._audit.held - self._unsent_held) > (
            _UNREAD + 2 * _LOOKS
        ):
            self._audit.breaks(f"{self.name} is not read by its client, and stays open")

    # At the end.

    def finish(self) -> None:
        """All that had come has its reply, unless there is a good reason; and it was read."""
        audit = self._audit
        if self.is_open:
            audit.breaks(f"{self.name} is still open")
        was_given_up = self.closed == "abort" and self._left_unsent  # it did not read
        if audit.was_hurried or self.closed in {"reset", "no place"} or was_given_up:
            return
        spec = self.next
        if spec is not None and not self.is_over:
            if spec.came is not None:
                audit.breaks(f"{spec.name} is never answered")
            elif self._was_sent_before_the_stop(spec):
                audit.breaks(f"{spec.name} was sent before the stop, and is never answered")
            elif spec.head_came is not None and self.closed:
                audit.breaks(f"{spec.name} is ended without a reply")
        self._check_read()

    def _was_sent_before_the_stop(self, spec: Spec) -> bool:
        stopped = self._audit.stopped
        if stopped is None or spec.sent is None or spec.sent > stopped:
            return False
        was_idle = self._closed_at - self._since > _IDLE
        return not self.closed or (self._closed_at > stopped and not was_idle)

    def _check_read(self) -> None:
        """A client that goes on sending for a moment after the last reply still reads it."""
        spec = self.specs[len(self.replies) - 1] if self.replies else None
        kept_on = spec is not None and self._sent_at > (spec.answered or 0.0) + _END / 2
        if self.reads_all and not kept_on and self.read != self.written:
            self._audit.breaks(f"{self.name}: the client has read {self.read} of {self.written}")


def _text_of(reply: Reply) -> str:
    """An error's text without what differs each time; "" of what is not an error."""
    if reply.status < 400 or not reply.body:
        return ""
    text = str(json.loads(reply.body)["body"])
    return text.partition(", request ")[0]
