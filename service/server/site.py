"""What the connections of one listening address share: endpoints, limits, records, replies."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from heapq import nsmallest
from http import HTTPStatus
from time import perf_counter
from typing import Final, NamedTuple, Protocol

from service.http.reply import Reply, fail
from service.server.connection import BODY, REPLY, Connection
from service.server.iteration import EndOfIteration, WorkQueue
from service.server.request import Request, path_of
from service.telemetry.record import Record

# Bodies up to this size are not counted in the budget: the number of connections bounds them.
_UNCOUNTED: Final = 2048
# Of the body of a chunked request, so many bytes more are counted than have come.
_STEP: Final = 64 * 1024
# Of a body that is refused, so much is read to keep the connection.
_WORTH_READING: Final = 64 * 1024
# Replies that clients don't read may hold so many bytes in a worker; from so many on, no more
# pages are sent: they need no key.
_MOST_UNSENT: Final = 64 * 1024 * 1024
_MOST_UNSENT_FOR_PAGES: Final = 8 * 1024 * 1024
# What is read in a second for nothing but to end connections kindly.
_DROPPED_A_SECOND: Final = 64 * 1024 * 1024
# What has come already, of pipelines and of bodies in many chunks, has so long in an iteration.
# Callers wait for two or three iterations: with 3 ms, 500 bodies in small chunks doubled the p99.
_TURN_SECONDS: Final = 0.001
# The pause after a turn that was too short to parse all. A worker that never sleeps loses its core
# to other processes when a caller needs it: without the pause, the p99 was four times as long.
_PAUSE_SECONDS: Final = 0.005
# One caller's bodies may hold so much of the budget: others find room.
_SHARE: Final = 0.75
_EVICTED_AT_ONCE: Final = 64
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class Endpoint(Protocol):
    """What answers the requests for some targets."""

    def admit(self, request: Request) -> int:
        """How many bytes the body may have, by the head alone; or `request.refusal` is set."""

    def full(self, request: Request) -> Reply:
        """The refusal of a body for which there is no room now."""

    def answer(self, request: Request, connection: Connection) -> None:
        """Have `connection` reply to a request that is complete, now or later, once."""


class Patience(NamedTuple):
    """Seconds that a connection may take: between requests, for a head, for a body."""

    idle: float
    head: float
    body: float


class Events(NamedTuple):
    """The callbacks of a site.

    `record` makes the record of a request with this method and these headers. `drains` is whether
    the server is about to stop. `answered` is given the requests that were answered in an iteration
    of the loop, `failed` errors that concern no endpoint.
    """

    record: Callable[[bytes, Mapping[bytes, bytes]], Record]
    drains: Callable[[], int]
    answered: Callable[[Sequence[Request]], None]
    failed: Callable[[BaseException], None]


class Budget:
    """Bytes of memory that may be held at the same time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._of: Counter[str] = Counter()

    def take(self, size: int, owner: str = "") -> bool:
        """Reserve so many, unless they are too many together, or for their owner.

        One reservation alone may have any size.
        """
        if self.held and self.held + size > self.limit:
            return False
        if self._of[owner] and self._of[owner] + size > self.limit * _SHARE:
            return False
        self.held += size
        self._of[owner] += size
        return True

    def give_back(self, size: int, owner: str = "") -> None:
        """The end of a reservation."""
        self.held -= size
        self._of[owner] -= size


class Site:
    """One listening address, for callers unless it is not `is_public`.

    Once it `stops`, each reply closes its connection.
    """

    def __init__(
        self,
        endpoints: Mapping[tuple[bytes, bytes], Endpoint],
        others: Callable[[Request], Endpoint],
        bodies: Budget,
        events: Events,
        *,
        is_public: bool = True,
    ) -> None:
        """`endpoints` are those of single methods and paths, `others` gives those of all others."""
        self.is_public = is_public
        self.stops = False
        self.connections: set[Connection] = set()
        self._endpoints = dict(endpoints)
        self._others = others
        self._bodies = bodies
        self.record, self._drains, self._tell, self.failed = events
        self._answered: list[Request] = []
        self._end = EndOfIteration(self._tell_answered)
        self._heads: dict[tuple[int, bool, str], bytes] = {}
        self._unsent: dict[Connection, int] = {}
        self._may_drop = _DROPPED_A_SECOND
        self.queue = WorkQueue(_TURN_SECONDS).add
        self.parse_soon = WorkQueue(_TURN_SECONDS, _PAUSE_SECONDS).add

    # Connections.

    def joined(self, connection: Connection) -> None:
        """A connection is open."""
        self.connections.add(connection)

    def left(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._unsent.pop(connection, None)

    def unsent_grew(self, connection: Connection, size: int) -> None:
        """A client is behind in reading its replies by so many bytes.

        Where they are too many in all, the connections go that have waited longest for their
        clients: one that reads is not among them for long.
        """
        self._unsent[connection] = size
        while self.unsent > _MOST_UNSENT and len(self._unsent) > 1:
            oldest = next(iter(self._unsent))
            del self._unsent[oldest]
            oldest.transport.abort()

    @property
    def unsent(self) -> int:
        """Bytes of replies that wait for their clients to read them."""
        return sum(self._unsent.values())

    @property
    def takes_pages(self) -> bool:
        """Whether a long page that needs no key may be sent now."""
        return self.unsent < _MOST_UNSENT_FOR_PAGES

    def unsent_went(self, connection: Connection) -> None:
        """A client has caught up."""
        self._unsent.pop(connection, None)

    def drop(self, size: int) -> bool:
        """Whether so many bytes may be read for nothing."""
        self._may_drop -= size
        return self._may_drop > 0

    def evict(self, idle_since: float) -> bool:
        """End the connection that is worth least, if it has been idle since that time.

        Several end at once if they have had no reply yet: a client with many opens them again.
        """
        ranks = {one: rank for one in self.connections if (rank := one.rank(idle_since))}
        least = nsmallest(_EVICTED_AT_ONCE, ranks, key=ranks.__getitem__)
        for number, connection in enumerate(least):
            if number == 0 or connection.is_worth_little:
                connection.evict()
        return bool(least)

    def check(self, now: float, patience: Patience) -> None:
        """Once a second: end what has taken too long, and make the replies' date anew."""
        self._heads.clear()
        self._may_drop = _DROPPED_A_SECOND
        for connection in list(self.connections):
            try:
                connection.check(now, patience)
            except Exception as error:  # noqa: BLE001 - it concerns this connection alone
                self.failed(error)
                connection.transport.abort()

    @property
    def in_flight(self) -> int:
        """How many requests have begun and have no reply yet."""
        return sum(connection.waits_for in {BODY, REPLY} for connection in self.connections)

    def abort(self) -> None:
        """End all connections at once."""
        for connection in list(self.connections):
            connection.transport.abort()

    # Requests.

    def unparsed(self) -> Request:
        """A request for bytes that are none."""
        record = self.record(b"", {})
        return Request(record, b"", b"", {}, (), keep_alive=False, began=perf_counter())

    def admit(self, request: Request) -> None:
        """Find the request's endpoint, and reserve room for its body, or set its refusal."""
        endpoint = self._endpoints.get((request.method, request.target))
        if endpoint is None:
            endpoint = self._endpoint_of(request)
        limit = endpoint.admit(request)
        request.endpoint, request.limit = endpoint, limit
        size = request.missing
        request.allowed = max(size, _UNCOUNTED)
        if request.refusal is None and size > _UNCOUNTED:
            if size > limit:
                request.refusal = too_long(limit)
            elif self._bodies.take(size, request.record.key_name):
                request.reserved = size
            else:
                request.refusal = endpoint.full(request)
        if request.refusal is None:
            return
        # A client that expects 100 Continue may send its body or not: what follows is unclear.
        if size > _WORTH_READING or request.is_chunked or b"expect" in request.headers:
            request.keep_alive = False

    def _endpoint_of(self, request: Request) -> Endpoint:
        path = path_of(request.target)
        return self._endpoints.get((request.method, path)) or self._others(request)

    def body_grew(self, request: Request) -> None:
        """More of a body has come than was allowed."""
        if request.refusal is not None:
            return
        more = request.received + _STEP - request.reserved
        if request.received > request.limit:
            request.refusal = too_long(request.limit)
        elif self._bodies.take(more, request.record.key_name):
            request.reserved += more
            request.allowed = min(request.reserved, request.limit)
        elif request.endpoint is not None:
            request.refusal = request.endpoint.full(request)
        if request.refusal is not None:
            request.keep_alive = False

    def release(self, request: Request) -> None:
        """A request's body is held no longer."""
        self._bodies.give_back(request.reserved, request.record.key_name)
        request.reserved = 0
        request.body = b""

    # Replies.

    def message(self, request: Request, status: int, fields: bytes, body: bytes) -> bytes:
        """The bytes of a reply; `fields` are header lines with their ends.

        `keep_alive` is false from then on if the server is about to stop.
        """
        if self.stops or self._drains():
            request.keep_alive = False
        record = request.record
        kind = status, request.keep_alive, record.model_version
        return b"%b%bX-Request-Id: %b\r\n\r\n%b" % (
            self._heads.get(kind) or self._head(*kind),
            fields,
            (record.echoed_id or record.request_id).encode(),
            b"" if request.method == b"HEAD" else body,
        )

    def _head(self, status: int, keep_alive: bool, version: str) -> bytes:  # noqa: FBT001
        """What all replies of a kind have in common within a second."""
        lines = (
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}\r\nServer: gunicorn\r\n"
            f"Date: {formatdate(usegmt=True)}\r\n"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
            f"X-Model-Version: {version}\r\n"
        )
        head = self._heads[status, keep_alive, version] = lines.encode()
        return head

    def answered(self, request: Request, status: int) -> None:
        """A request has its reply."""
        if request.reserved:
            self.release(request)
        record = request.record
        record.status, record.seconds = status, perf_counter() - request.began
        if not record.route:
            record.route = "unmatched"
        self._answered.append(request)
        self._end.schedule()

    def _tell_answered(self) -> None:
        answered, self._answered = self._answered, []
        self._tell(answered)


def too_long(limit: int) -> Reply:
    """The refusal of a body beyond a limit."""
    return fail(413, f"the body is longer than {limit} bytes")
