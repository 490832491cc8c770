"""The two envelopes: {"body": …, "status": "ok"} and {"body": "…", "status": "fail"}."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from model import InvalidRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_STATUS_LINES: Final = {status.value: f"{status} {status.phrase}" for status in HTTPStatus}


class Envelope(msgspec.Struct, gc=False):
    """Every reply in JSON but the OpenAPI document."""

    body: Any
    status: Literal["ok", "partial", "fail"]


class Reply:
    """A JSON reply, ready to be sent; Flask takes it for a WSGI application of its own.

    `fields` are the header lines with their ends: text that a client has written is in none.
    """

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int, body: bytes) -> None:
        """`body` is an encoded envelope."""
        self.status = status
        self.body = body
        self.fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)

    def add(self, name: str, value: str) -> None:
        """Add a header."""
        self.fields += f"{name}: {value}\r\n".encode("latin-1")

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface."""
        lines = self.fields.decode("latin-1").splitlines()
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        start(_STATUS_LINES[self.status], headers)
        # The server would drop a HEAD's body too, but complain each time.
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self.body,)


def ok(body: object, *, partial: bool = False) -> Reply:
    """200 with a body; `partial` when some rows of an array could not be scored."""
    return Reply(200, _encode(Envelope(body, "partial" if partial else "ok")))


def ok_of_parts(parts: Sequence[bytes], *, partial: bool) -> Reply:
    """The same with a list, of which each part is some elements, encoded with commas between."""
    status = b"partial" if partial else b"ok"
    return Reply(200, b'{"body":[%b],"status":"%b"}' % (b",".join(parts), status))


def encode_elements(elements: Sequence[object]) -> bytes:
    """Elements of a list in JSON, with commas between: a part for `ok_of_parts`."""
    return _encode(elements)[1:-1]


def fail(status: int, reason: str) -> Reply:
    """An error with its reason in words."""
    return Reply(status, _encode(Envelope(reason, "fail")))


def _encode_fault(value: object) -> dict[str, str]:
    """msgspec's `enc_hook`: a row that could not be scored, in its place in the list."""
    if isinstance(value, InvalidRequest):
        return {"error": str(value)}
    raise NotImplementedError(type(value).__name__)


_encode = msgspec.json.Encoder(enc_hook=_encode_fault).encode
