"""POST to a model's address, as /reg/: one request or an array of them in, scores out.

The server hands requests to `ScoreEndpoint` straight from the parser, so that single rows share
batches. The blueprint holds the same route for any WSGI server; both make the same replies.
"""

from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from flask import Blueprint, request
from msgspec import field

from model import InvalidRequest
from model.scorer import Model
from service.config.settings import Settings
from service.http import body, deadline, errors, reply
from service.http.authentication import Guard
from service.http.reply import Reply
from service.overload.admission import FULL, Admission
from service.scoring.core import Outcome
from service.scoring.live import Slot
from service.scoring.service import Call, ScoringService
from service.server.iteration import yield_to_io
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record, record_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed.wsgi import WSGIEnvironment

    from service.server.connection import Connection
    from service.server.request import Request

# In milliseconds.
_TIMING: Final = (
    b"Server-Timing: decode;dur=%.3f, features;dur=%.3f, wait;dur=%.3f, predict;dur=%.3f\r\n"
)
_DETAIL: Final = {"0": False, "1": True}


class ScoreRoute:
    """The route of one model; `path` is its template, `paths` its two spellings."""

    def __init__(
        self, model: Model, slot: Slot, settings: Settings, metrics: Metrics, admission: Admission
    ) -> None:
        self.name = model.name
        self.path = model.path.rstrip("/")
        self.paths = (f"{self.path}/", self.path)
        self.limits = (settings.max_body, settings.max_array_body)
        self.service = ScoringService(model, slot, settings, metrics, admission, yield_to_io)

    def post(self, environ: "WSGIEnvironment") -> Reply:
        """Read, score, reply. Raises InvalidRequest, Refused or Overloaded."""
        record = record_of(environ)
        record.route = self.path
        live = self.service.live(record)
        text = body.read(environ, *self.limits)
        try:
            detail = wants_details(environ.get("QUERY_STRING", ""))
            call = _WsgiCall(self.service, record, detail)
            self.service.score(live, text, deadline.left_in(environ), call)
        except InvalidRequest as fault:
            self.service.scoring.refused(fault)
            raise
        response: Reply = call.reply
        return response


class ScoreEndpoint:
    """The way from the parser: what a request needs is checked before its body is read."""

    def __init__(self, route: ScoreRoute, guard: Guard, admission: Admission) -> None:
        self._route = route
        self._service = route.service
        self._guard = guard
        self._admission = admission

    def admit(self, request: "Request") -> int:
        """Check key, kind and load by the head alone: a body that is not wanted is not read."""
        record, headers = request.record, request.headers
        record.route = self._route.path
        record.model_version = self._service.slot.current.version
        try:
            self._guard.admit(headers, record)
            body.check_kind(headers.get(b"content-type", b""), headers.get(b"content-encoding"))
            self._admission.check_head(request.missing)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            request.refusal = errors.answer(error, record)
        return self._route.limits[1]

    def full(self, request: "Request") -> Reply:
        """The rejection of an array for whose bytes there is no room."""
        return errors.answer(self._admission.overloaded(FULL), request.record)

    def answer(self, request: "Request", connection: "Connection") -> None:
        """Have the request scored, and replied to."""
        call = _Call(self._service, request.record, request=request, connection=connection)
        try:
            body.check_size(request.body, *self._route.limits)
            call.detail = _detail_of(request.target)
            self._service.submit(request.body, _seconds_left(request), call)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            self._service.fail(call, error)


class _HttpCall(Call):
    """Makes the reply; an array is encoded in pieces, all at once would hold up the event loop."""

    parts: list[bytes] = field(default_factory=list)
    partial: bool = False

    def send(self, response: Reply) -> None:
        """Send the reply."""
        raise NotImplementedError

    def answer(self, outcome: Outcome) -> None:
        """Reply with one score."""
        began = perf_counter()
        response = reply.ok(outcome)
        self.record.encode_seconds = perf_counter() - began
        self.send(_described(response, self.record))

    def add(self, outcomes: "Sequence[Outcome]") -> None:
        """Encode the next outcomes."""
        if not outcomes:
            return
        began = perf_counter()
        self.parts.append(reply.encode_elements(outcomes))
        self.partial = self.partial or any(isinstance(o, InvalidRequest) for o in outcomes)
        self.record.encode_seconds += perf_counter() - began

    def end(self) -> None:
        """Reply with the whole."""
        began = perf_counter()
        response = reply.ok_of_parts(self.parts, partial=self.partial)
        self.record.encode_seconds += perf_counter() - began
        self.send(_described(response, self.record))


class _Call(_HttpCall, kw_only=True):
    """One that came from the parser."""

    request: Any
    connection: Any

    def send(self, response: Reply) -> None:
        """Send the reply."""
        self.connection.reply(self.request, response)

    def fail(self, error: Exception) -> None:
        """Reply by the table of errors."""
        self.connection.reply(self.request, errors.answer(error, self.record))


class _WsgiCall(_HttpCall):
    """One that came by WSGI, where errors are raised."""

    reply: Any = None

    def send(self, response: Reply) -> None:
        """Keep the reply for the route."""
        self.reply = response


def _described(response: Reply, record: Record) -> Reply:
    """A reply with scores, and the headers that say how they came about."""
    response.fields += _TIMING % (
        record.decode_seconds * 1e3,
        record.features_seconds * 1e3,
        record.wait_seconds * 1e3,
        record.predict_seconds * 1e3,
    )
    if record.warnings:
        response.add("X-Score-Warnings", ", ".join(record.warnings))
    return response


def wants_details(query: str) -> bool:
    """Whether a query string asks for details. Raises InvalidRequest unless it is by 0 or 1."""
    values = parse_qs(query, keep_blank_values=True, errors="replace").get("detail", ["0"])
    if len(values) > 1:
        raise InvalidRequest("detail", "is named twice")
    if values[0] not in _DETAIL:
        raise InvalidRequest("detail", "must be 0 or 1", "range")
    return _DETAIL[values[0]]


# Clients use the same few.
@lru_cache(maxsize=256)
def _detail_of(target: bytes) -> bool:
    return wants_details(target.partition(b"?")[2].decode("latin-1"))


def _seconds_left(request: "Request") -> float | None:
    """The seconds that the client's deadline leaves, None if it names none. Raises Refused."""
    timeout = request.headers.get(b"x-request-timeout-ms")
    if timeout is None:
        return None
    start = request.headers.get(b"x-request-start", b"").decode("latin-1")
    return deadline.left_of(timeout.decode("latin-1"), start, perf_counter() - request.began)


def blueprint(route: ScoreRoute, guard: Guard) -> Blueprint:
    """The address, and the same without the last slash: a redirect would lose the body.

    Two rules, since one with `strict_slashes=False` answers GET /reg with 404, not 405.
    """
    routes = Blueprint(route.name, __name__)
    guard.protect(routes)
    for number, path in enumerate(route.paths):
        routes.add_url_rule(
            path, f"score{number}", lambda: route.post(request.environ), methods=["POST"]
        )
    return routes
