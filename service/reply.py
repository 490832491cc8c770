"""The two envelopes: {"body": …, "status": "ok"} and {"body": "…", "status": "fail"}."""

from typing import Any, Literal

import msgspec
from flask import Response

from model import InvalidRequest


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


def ok(body: object, *, partial: bool = False) -> Response:
    """200 with a body; `partial` when some rows of an array could not be scored."""
    return _reply(200, Envelope(body, "partial" if partial else "ok"))


def fail(status: int, reason: str) -> Response:
    """An error with its reason in words."""
    return _reply(status, Envelope(reason, "fail"))


def _reply(status: int, envelope: Envelope) -> Response:
    return Response(_encode(envelope), status, content_type="application/json")
