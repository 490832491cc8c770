"""POST to a model's address straight from the parser, so that single rows share batches.

Its replies are those of `service.routes.score`, the same route for any WSGI server.
"""

from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

from service.http import body, deadline, errors
from service.http.authentication import Guard
from service.http.query import wants_details
from service.http.reply import Reply
from service.overload.admission import FULL, Admission
from service.routes.score import ScoreRoute
from service.routes.score_call import HttpCall

if TYPE_CHECKING:
    from service.server.connection import Connection
    from service.server.request import Request


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
        call = ParserCall(
            self._service, request.record, request.body, request=request, connection=connection
        )
        try:
            body.check_size(request.body, *self._route.limits)
            call.detail = _detail_of(request.target)
            self._service.submit(call, seconds_left(request))
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            self._service.fail(call, error)


class ParserCall(HttpCall, kw_only=True):
    """One that came from the parser."""

    request: "Request"
    connection: "Connection"

    def send(self, response: Reply) -> None:
        """Send the reply."""
        self.connection.reply(self.request, response)

    def fail(self, error: Exception) -> None:
        """Reply by the table of errors."""
        self.connection.reply(self.request, errors.answer(error, self.record))


# Clients use the same few.
@lru_cache(maxsize=256)
def _detail_of(target: bytes) -> bool:
    return wants_details(target.partition(b"?")[2].decode("latin-1"))


def seconds_left(request: "Request") -> float | None:
    """The seconds that the client's deadline leaves, None if it names none. Raises Refused."""
    timeout = request.headers.get(b"x-request-timeout-ms")
    if timeout is None:
        return None
    start = request.headers.get(b"x-request-start", b"").decode("latin-1")
    return deadline.left_of(timeout.decode("latin-1"), start, perf_counter() - request.began)
