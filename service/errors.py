"""From exceptions to replies, in one table. No reply repeats an exception's text.

400  InvalidRequest: the field and the reason      413  TooManyRows, bodies over the limit
4xx  what Flask raises while routing (404, 405)    500  everything else: a fixed text
"""

import logging
import traceback
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from model import InvalidRequest, TooManyRows
from service import reply
from service.record import record_of

if TYPE_CHECKING:
    from werkzeug.sansio.response import Response as SansioResponse

log = logging.getLogger("gunicorn.error")

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
    app.register_error_handler(InvalidRequest, _invalid)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    # 500, not Exception: Flask then still sends its got_request_exception signal.
    app.register_error_handler(500, _unexpected)


def _invalid(error: InvalidRequest) -> Response:
    return reply.fail(413 if isinstance(error, TooManyRows) else 400, str(error))


def _refused(error: Refused) -> Response:
    response = reply.fail(error.status, error.reason)
    response.headers.update(error.headers)
    return response


def _http(error: HTTPException) -> "Response | SansioResponse":
    status = error.code or 500
    if error.response is not None or status < 400:  # redirects carry a reply of their own
        return error.get_response()
    response = reply.fail(status, _TEXTS.get(status, error.name.lower()))
    for name, value in error.get_headers(request.environ):
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _unexpected(error: InternalServerError) -> Response:
    request_id = record_of(request.environ).request_id
    log_exception(error.original_exception or error, request_id)
    return reply.fail(500, f"internal error, request {request_id}")


def log_exception(error: BaseException, request_id: str) -> None:
    """Log the type and the place of an exception, never its text: texts may hold plates."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    place = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    log.error("Internal error %s in request %s at %s", type(error).__name__, request_id, place)
