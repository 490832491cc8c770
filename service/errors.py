"""From exceptions to replies, in one table. No reply repeats an exception's text.

400  InvalidRequest: the field and the reason      413  TooManyRows, bodies over the limit
415  NotUtf8, what is not declared as JSON         500  everything else: a fixed text
4xx  Refused, and what Flask raises while routing
"""

import logging
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException, InternalServerError

from model import InvalidRequest, NotUtf8, TooManyRows
from service import reply
from service.record import Record, record_of
from service.reports import reports

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.sansio.response import Response

log = logging.getLogger("gunicorn.error")

_STATUSES: Final[dict[type[InvalidRequest], int]] = {TooManyRows: 413, NotUtf8: 415}
_TEXTS: Final = {
    404: "there is nothing at this address",
    405: "this method is not allowed at this address",
}


class Refused(Exception):
    """A request that a route refuses before it is scored."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


def register(app: Flask) -> None:
    """Answer every exception of this app in the envelope."""
    for kind in (InvalidRequest, Refused):
        app.register_error_handler(kind, lambda error: answer(error, request.environ))
    app.register_error_handler(HTTPException, _http)
    # 500, not Exception: Flask then still sends its got_request_exception signal.
    app.register_error_handler(500, _unexpected)


def answer(error: BaseException, environ: "WSGIEnvironment") -> reply.Reply:
    """The reply to an exception that came out of a route."""
    if isinstance(error, InvalidRequest):
        return reply.fail(_STATUSES.get(type(error), 400), str(error))
    if isinstance(error, Refused):
        refusal = reply.fail(error.status, error.reason)
        refusal.headers.extend(error.headers.items())
        return refusal
    record = record_of(environ)
    tell(error, record, environ)
    return reply.fail(500, f"internal error, request {record.request_id}")


def nowhere() -> reply.Reply:
    """The reply to a path that is none of this app's."""
    return reply.fail(404, _TEXTS[404])


def tell(error: BaseException, record: Record, environ: Mapping[str, Any] | None = None) -> None:
    """Log an unexpected error and report it. Outside a request there is no environ."""
    log_exception(error, record.request_id)
    reports.send(error, record, environ or {})


def _http(error: HTTPException) -> "reply.Reply | Response":
    status = error.code or 500
    if error.response is not None or status < 400:  # redirects carry a reply of their own
        return error.get_response()
    response = reply.fail(status, _TEXTS.get(status, error.name.lower()))
    kept = (h for h in error.get_headers() if h[0] not in ("Content-Type", "Content-Length"))
    response.headers.extend(kept)
    return response


def _unexpected(error: InternalServerError) -> reply.Reply:
    return answer(error.original_exception or error, request.environ)


def log_exception(error: BaseException, request_id: str) -> None:
    """Log the type and the place of an exception, never its text: texts may hold plates."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    place = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    log.error("Internal error %s in request %s at %s", type(error).__name__, request_id, place)
