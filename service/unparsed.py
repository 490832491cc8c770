"""Replies to what never became a request of the app: no HTTP, or broken outside it."""

from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from gunicorn.http import errors

from service.errors import tell
from service.record import ENVIRON_KEY, Record
from service.reply import Envelope

_INTERNAL: Final = 500


def answer(client: Any, fault: BaseException, app: Any, log: Any) -> None:
    """Tell the client, in the envelope, and nothing of its text: it may hold a plate."""
    status = _status_of(fault)
    record = Record(token_hex(16))
    record.route = "unmatched"
    log.warning("Request %s was refused: %s", record.request_id, type(fault).__name__)
    if status < _INTERNAL:
        _count(record, status, app, log)
    elif isinstance(fault, Exception):  # the door has counted it; and not what ends a greenlet
        tell(fault, record)
    text = msgspec.json.encode(Envelope(HTTPStatus(status).phrase.lower(), "fail"))
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        f"X-Request-Id: {record.request_id}\r\n"
        f"X-Model-Version: {app.extensions['slot'].current.version}\r\n\r\n"
    )
    with suppress(OSError):
        client.sendall(head.encode() + text)


def _count(record: Record, status: int, app: Any, log: Any) -> None:
    """What never reached the door, and so has neither a count nor a line."""
    app.extensions["metrics"].http.observe((record.route, "other", str(status), ""), 0.0)
    environ = {ENVIRON_KEY: record, "REQUEST_METHOD": "other"}
    log.access(SimpleNamespace(status_code=status), None, environ, 0.0)


def _status_of(fault: BaseException) -> int:
    if not isinstance(fault, errors.ParseException):
        return _INTERNAL
    if isinstance(fault, errors.LimitRequestLine):
        return 414
    return 431 if isinstance(fault, errors.LimitRequestHeaders) else 400
