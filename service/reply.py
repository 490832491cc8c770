"""The two envelopes: {"body": …, "status": "ok"} and {"body": "…", "status": "fail"}."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from model import InvalidRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_STATUS_LINES: Final = {status.value: f"{status} {status.phrase}" for status in HTTPStatus}


class Envelope(msgspec.Struct):
    """Every reply in JSON but the OpenAPI document."""

    body: Any
    status: Literal["ok", "partial", "fail"]


class Reply:
    """A JSON reply, ready to be sent: a WSGI application of its own.

    Flask turns what its views return into a response object and works out the head anew
    when it sends it; that is a tenth of the cost of a small request. Flask takes this for
    a reply too, and where the express lane sends it, nothing comes between.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, envelope: Envelope) -> None:
        self.status = status
        self.body = _encode(envelope)
        self.headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(self.body))),
        ]

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface."""
        start(_STATUS_LINES[self.status], self.headers)
        # The server would drop a HEAD's body too, but complain each time.
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self.body,)


def ok(body: object, *, partial: bool = False) -> Reply:
    """200 with a body; `partial` when some rows of an array could not be scored."""
    return Reply(200, Envelope(body, "partial" if partial else "ok"))


def fail(status: int, reason: str) -> Reply:
    """An error with its reason in words."""
    return Reply(status, Envelope(reason, "fail"))


def _encode_fault(value: object) -> dict[str, str]:
    """msgspec's `enc_hook`: a row that could not be scored, in its place in the list."""
    if isinstance(value, InvalidRequest):
        return {"error": str(value)}
    raise NotImplementedError(type(value).__name__)


_encode = msgspec.json.Encoder(enc_hook=_encode_fault).encode
