"""POST /reg/: one reading or an array of them in, probabilities out.

The server hands requests to `RegEndpoint` straight from the parser, so that single rows share
batches. The blueprint holds the same route for any WSGI server; both make the same replies.
"""

from asyncio import Task, get_running_loop
from collections.abc import Iterator
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeVar

from flask import Blueprint, request
from msgspec import Struct

from model import InvalidRequest, is_array
from model.regno import Reading, RegnoScorer, Row, Score
from service.config.settings import Settings
from service.http import body, deadline, errors, reply
from service.http.authentication import Guard
from service.http.reply import Reply
from service.overload.admission import ARRAY_BYTES, DEADLINE, FULL, Admission
from service.scoring import details
from service.scoring.core import Outcome, Scoring
from service.scoring.live import Live, Slot
from service.server.iteration import yield_to_io
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record, record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from service.server.connection import Connection
    from service.server.request import Request

PATHS: Final = ("/reg/", "/reg")
_ROUTE: Final = "/reg"
# In milliseconds.
_TIMING: Final = (
    b"Server-Timing: decode;dur=%.3f, features;dur=%.3f, wait;dur=%.3f, predict;dur=%.3f\r\n"
)

T = TypeVar("T")


class RegRoute:
    """What both ways share, and the way of WSGI."""

    def __init__(
        self, slot: Slot, settings: Settings, metrics: Metrics, admission: Admission
    ) -> None:
        self.slot = slot
        self._admission = admission
        self.limits = (settings.max_body, settings.max_array_body)
        self.scoring = Scoring(slot, settings, metrics)
        self.decoder = RegnoScorer.decoder(settings.max_rows)
        self._metrics = metrics.scoring

    def post(self, environ: "WSGIEnvironment") -> Reply:
        """Read, score, reply. Raises InvalidRequest, Refused or Overloaded."""
        record = record_of(environ)
        record.route = _ROUTE
        live = self.live(record)
        text = body.read(environ, *self.limits)
        try:
            detail = details.wanted(environ.get("QUERY_STRING", ""))
            self._admission.check(len(text), deadline.left_in(environ))
            return self.scored(live, self.decoded(text, record), record, detail=detail)
        except InvalidRequest as fault:
            self.scoring.refused(fault)
            raise

    def live(self, record: Record) -> Live:
        """What serves now; the request keeps to it."""
        live = self.slot.current
        record.model_version = live.version
        return live

    def scored(
        self,
        live: Live,
        decoded: Reading | list[Reading | InvalidRequest],
        record: Record,
        *,
        detail: bool,
    ) -> Reply:
        """Score what a body holds, at once. Raises InvalidRequest."""
        if isinstance(decoded, Reading):
            outcome = self.scoring.one(live, decoded, record, detail=detail)
            return self.reply(outcome, record)
        array = ArrayReply(self)
        for outcomes in self.scoring.array(live, [decoded], record, detail=detail):
            array.add(outcomes)
        return array.reply(record)

    def decoded(self, text: bytes, record: Record) -> Reading | list[Reading | InvalidRequest]:
        """What a body holds. Raises InvalidRequest."""
        began = perf_counter()
        found = self.decoder(text)
        record.decode_seconds = perf_counter() - began
        return found

    def reply(self, outcome: object, record: Record) -> Reply:
        """The reply with one score."""
        began = perf_counter()
        response = reply.ok(outcome)
        record.encode_seconds = perf_counter() - began
        return self.described(response, record)

    def described(self, response: Reply, record: Record) -> Reply:
        """A reply with scores, and the headers that say how they came about; it is counted."""
        self._metrics.stages(record)
        response.fields += _TIMING % (
            record.decode_seconds * 1e3,
            record.features_seconds * 1e3,
            record.wait_seconds * 1e3,
            record.predict_seconds * 1e3,
        )
        if record.warnings:
            response.add("X-Score-Warnings", ", ".join(record.warnings))
        return response


class ArrayReply:
    """The reply to an array, encoded in pieces: all at once would hold up the event loop."""

    def __init__(self, route: RegRoute) -> None:
        self._route = route
        self._parts: list[bytes] = []
        self._partial = False
        self._seconds = 0.0

    def add(self, outcomes: list[Outcome]) -> None:
        """The next outcomes."""
        if not outcomes:
            return
        began = perf_counter()
        self._parts.append(reply.encode_elements(outcomes))
        self._partial = self._partial or any(isinstance(o, InvalidRequest) for o in outcomes)
        self._seconds += perf_counter() - began

    def reply(self, record: Record) -> Reply:
        """The whole."""
        began = perf_counter()
        response = reply.ok_of_parts(self._parts, partial=self._partial)
        record.encode_seconds = self._seconds + perf_counter() - began
        return self._route.described(response, record)


class RegEndpoint:
    """The way from the parser: rows of single requests wait for a batch, arrays for their turn."""

    def __init__(self, route: RegRoute, guard: Guard, admission: Admission) -> None:
        self.route = route
        self._guard = guard
        self._admission = admission
        self._tasks: set[Task[None]] = set()

    def admit(self, request: "Request") -> int:
        """Check key, kind and load by the head alone: a body that is not wanted is not read."""
        record, headers = request.record, request.headers
        record.route = _ROUTE
        record.model_version = self.route.slot.current.version
        try:
            self._guard.admit(headers, record)
            body.check_kind(headers.get(b"content-type", b""), headers.get(b"content-encoding"))
            self._admission.check_head(request.missing)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            request.refusal = errors.answer(error, record)
        return self.route.limits[1]

    def full(self, request: "Request") -> Reply:
        """The refusal of an array for whose bytes there is no room."""
        return errors.answer(self._admission.overloaded(FULL), request.record)

    def answer(self, request: "Request", connection: "Connection") -> None:
        """Have the request scored, and replied to."""
        try:
            self._begin(request, connection)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            self.fail(error, request, connection)

    def fail(self, error: Exception, request: "Request", connection: "Connection") -> None:
        """Reply to a request that can't be scored."""
        if isinstance(error, InvalidRequest):
            self.route.scoring.refused(error)
        connection.reply(request, errors.answer(error, request.record))

    def late(self, request: "Request", connection: "Connection") -> None:
        """Reply to a request whose time is over."""
        self.fail(self._admission.overloaded(DEADLINE), request, connection)

    def _begin(self, request: "Request", connection: "Connection") -> None:
        text, record = request.body, request.record
        live = self.route.live(record)
        body.check_size(text, *self.route.limits)
        detail = _wants_details(request.target)
        seconds = _seconds_left(request)
        if len(text) > ARRAY_BYTES:
            latest = self._admission.check_array(len(text), seconds)
            array = self._array(live, request, connection, latest, detail=detail)
            task = get_running_loop().create_task(array)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        latest = self._admission.check_single(seconds)
        decoded = self.route.decoded(text, record)
        if isinstance(decoded, Reading):
            guarded, row = self.route.scoring.row(live, decoded, record)
            parts = live, request, connection, decoded, guarded, detail
            live.batcher.add(Single(row, latest, perf_counter(), self, *parts))
        else:  # of a few rows
            connection.reply(request, self.route.scored(live, decoded, record, detail=detail))

    async def _array(
        self,
        live: Live,
        request: "Request",
        connection: "Connection",
        latest: float,
        *,
        detail: bool,
    ) -> None:
        try:
            async with self._admission.array(len(request.body), latest):
                response = await self._array_reply(live, request, detail=detail)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            self.fail(error, request, connection)
        else:
            connection.reply(request, response)

    async def _array_reply(self, live: Live, request: "Request", *, detail: bool) -> Reply:
        """Score an array step by step, between which others are served."""
        route, record = self.route, request.record
        if not is_array(request.body):  # one long row
            decoded = route.decoded(request.body, record)
            return route.scored(live, decoded, record, detail=detail)
        slices = route.decoder.slices(request.body)
        array = ArrayReply(route)
        for outcomes in route.scoring.array(live, _timed(slices, record), record, detail=detail):
            array.add(outcomes)
            await yield_to_io()
        return array.reply(record)


class Single(Struct, gc=False, eq=False):
    """A single request whose row waits for the next batch, `queued` at a time of `perf_counter`.

    `sent` is its reading as it came, `guarded` as the guards left it.
    """

    row: Row
    latest: float
    queued: float
    endpoint: RegEndpoint
    live: Live
    request: "Request"
    connection: "Connection"
    sent: Reading
    guarded: Reading
    detail: bool

    def scored(self, score: Score, began: float, ended: float) -> None:
        """Reply with the score."""
        request, live = self.request, self.live
        record, route = request.record, self.endpoint.route
        record.wait_seconds = began - self.queued
        record.predict_seconds = ended - began
        try:
            route.scoring.scored(live, self.guarded, score)
            outcome = route.scoring.outcome(live, self.sent, score, record, detail=self.detail)
            self.connection.reply(request, route.reply(outcome, record))
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            self.endpoint.fail(error, request, self.connection)

    def failed(self, error: Exception) -> None:
        """Reply that the row could not be scored."""
        self.endpoint.route.scoring.failed(1)
        self.endpoint.fail(error, self.request, self.connection)

    def too_late(self) -> None:
        """Reply that the time is over."""
        self.endpoint.late(self.request, self.connection)


# Clients use the same few.
@lru_cache(maxsize=256)
def _wants_details(target: bytes) -> bool:
    """Whether the target of a request asks for details. Raises InvalidRequest."""
    return details.wanted(target.partition(b"?")[2].decode("latin-1"))


def _timed(slices: Iterator[T], record: Record) -> Iterator[T]:
    """The same, with the time that they take noted."""
    while True:
        began = perf_counter()
        try:
            found = next(slices)
        except StopIteration:
            return
        finally:
            record.decode_seconds += perf_counter() - began
        yield found


def _seconds_left(request: "Request") -> float | None:
    """The seconds that the client's deadline leaves, None if it names none. Raises Refused."""
    timeout = request.headers.get(b"x-request-timeout-ms")
    if timeout is None:
        return None
    start = request.headers.get(b"x-request-start", b"").decode("latin-1")
    return deadline.left_of(timeout.decode("latin-1"), start, perf_counter() - request.began)


def blueprint(route: RegRoute, guard: Guard) -> Blueprint:
    """`/reg/`, and `/reg` without a redirect, which would lose the body.

    Two rules, since one with `strict_slashes=False` answers GET /reg with 404, not 405.
    """
    routes = Blueprint("reg", __name__)
    guard.protect(routes)

    @routes.post(PATHS[0])
    @routes.post(PATHS[1])
    def post_reg() -> Reply:
        return route.post(request.environ)

    return routes
