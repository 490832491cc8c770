"""From exceptions to replies, in one table. No reply repeats an exception's text.

400  InvalidRequest: the field and the reason      413  TooManyRows, bodies over the limit
415  NotUtf8, what is not declared as JSON         429  Overloaded, with Retry-After
501  Unexplainable: the reason                     503  ExplainerGone, NoDecoder, with Retry-After
4xx  Refused, and Flask's while routing            500  everything else: a fixed text
"""

from random import choice
from typing import TYPE_CHECKING, Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException, InternalServerError

from model import ExplainerGone, InvalidRequest, NoDecoder, NotUtf8, TooManyRows, Unexplainable
from service.http import reply
from service.overload.admission import Overloaded
from service.telemetry import failures
from service.telemetry.record import Record, record_of

if TYPE_CHECKING:
    from werkzeug.sansio.response import Response

_STATUSES: Final[dict[type[InvalidRequest], int]] = {TooManyRows: 413, NotUtf8: 415}
_UNAVAILABLE: Final[dict[type[Exception], str]] = {
    ExplainerGone: "no explanation can be made now",
    NoDecoder: "no picture can be decoded now",
}
_TEXTS: Final = {
    404: "there is nothing at this address",
    405: "this method is not allowed at this address",
}
# Rejected clients should not retry at the same moment.
_RETRY_SECONDS: Final = ("1", "2", "3")


class Refused(Exception):
    """A request that a route rejects before it is scored, with a status and headers."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


# What the table knows, apart from Flask's own.
KINDS: Final = (InvalidRequest, Overloaded, Refused, Unexplainable, ExplainerGone, NoDecoder)


def register(app: Flask) -> None:
    """Convert every exception of this app into the error envelope."""
    for kind in KINDS:
        app.register_error_handler(kind, lambda error: answer(error, record_of(request.environ)))
    app.register_error_handler(HTTPException, of_routing)
    # 500, not Exception: Flask then still sends its got_request_exception signal.
    app.register_error_handler(500, unexpected)


def answer(error: BaseException, record: Record) -> reply.Reply:
    """The reply to an exception that a route raised."""
    if isinstance(error, InvalidRequest):
        return reply.fail(_STATUSES.get(type(error), 400), str(error))
    if isinstance(error, Overloaded):
        return refusal(429, str(error), retry_after())
    if isinstance(error, Refused):
        return refusal(error.status, error.reason, error.headers)
    if isinstance(error, Unexplainable):
        return reply.fail(501, str(error))
    if isinstance(error, (ExplainerGone, NoDecoder)):
        return refusal(503, _UNAVAILABLE[type(error)], retry_after())
    failures.report(error, record)
    return reply.fail(500, f"internal error, request {record.replied_id}")


def retry_after() -> dict[str, str]:
    """The header that says when to retry."""
    return {"Retry-After": choice(_RETRY_SECONDS)}  # noqa: S311 - no secret


def nowhere() -> reply.Reply:
    """The reply to an unknown path."""
    return reply.fail(404, _TEXTS[404])


def refusal(status: int, reason: str, headers: dict[str, str]) -> reply.Reply:
    """An error reply with additional headers."""
    failed = reply.fail(status, reason)
    for name, value in headers.items():
        failed.add(name, value)
    return failed


def of_routing(error: HTTPException) -> "reply.Reply | Response":
    """The reply to an exception that Flask raised while it looked for a route."""
    status = error.code or 500
    if error.response is not None or status < 400:  # redirects carry a reply of their own
        return error.get_response()
    response = reply.fail(status, _TEXTS.get(status, error.name.lower()))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.add(name, value)
    return response


def unexpected(error: InternalServerError) -> reply.Reply:
    """The reply to any other exception."""
    return answer(error.original_exception or error, record_of(request.environ))
