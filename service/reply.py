"""The two envelopes: {"body": …, "status": "ok"} and {"body": "…", "status": "fail"}."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from flask import Response

from model import InvalidRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def _encode_fault(value: object) -> dict[str, str]:
    """msgspec's `enc_hook`: a row that could not be scored, in its place in the list."""
    if isinstance(value, InvalidRequest):
        return {"error": str(value)}
    raise NotImplementedError(type(value).__name__)


_encode = msgspec.json.Encoder(enc_hook=_encode_fault).encode


class Envelope(msgspec.Struct):
    """Every reply in JSON but the OpenAPI document."""

    body: Any
    status: Literal["ok", "partial", "fail"]


class JsonReply(Response):
    """A JSON reply whose body and head are final once they are made.

    Flask's own response works its head out anew when it is sent (relative locations,
    ranges, bodies without a length): a tenth of the cost of a small request.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(body, status, content_type="application/json")
        self.headers["Content-Length"] = str(len(body))

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The WSGI interface."""
        start_response(self.status, self.headers.to_wsgi_list())
        # The server would drop a HEAD's body too, but complain each time.
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def ok(body: object, *, partial: bool = False) -> Response:
    """200 with a body; `partial` when some rows of an array could not be scored."""
    return JsonReply(200, _encode(Envelope(body, "partial" if partial else "ok")))


def fail(status: int, reason: str) -> Response:
    """An error with its reason in words."""
    return JsonReply(status, _encode(Envelope(reason, "fail")))
