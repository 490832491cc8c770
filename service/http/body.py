"""Checks of a request's body: JSON in UTF-8, within its size limit. They raise Refused."""

from typing import TYPE_CHECKING, Final

from model import is_array
from service.http.errors import Refused
from service.telemetry.record import record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_JSON: Final = frozenset(("application/json", "text/json"))
_UTF8: Final = frozenset(("utf-8", "utf8", "utf_8", "us-ascii", "ascii"))


def check_kind(content_type: bytes, encoding: bytes | None) -> None:
    """Raise Refused with 415 for a body that is not declared as plain JSON in UTF-8."""
    if content_type != b"application/json":
        _check_type(content_type.decode("latin-1"))
    check_encoding(encoding)


def check_encoding(encoding: bytes | None) -> None:
    """Raise Refused with 415 for a body that is compressed."""
    if encoding is not None and encoding.lower() != b"identity":
        raise Refused(415, "Content-Encoding must be identity")


def check_size(body: bytes, single_limit: int, array_limit: int) -> None:
    """Raise Refused with 413 for more than `single_limit` bytes, or `array_limit` in an array."""
    if len(body) > single_limit and (len(body) > array_limit or not is_array(body)):
        raise too_long(array_limit if is_array(body) else single_limit)


def read(environ: "WSGIEnvironment", single_limit: int, array_limit: int) -> bytes:
    """The whole body of a WSGI request. Raises Refused: 415, 413."""
    check_kind(environ.get("CONTENT_TYPE", "").encode("latin-1"), None)
    body = read_any(environ, array_limit)
    check_size(body, single_limit, array_limit)
    return body


def read_any(environ: "WSGIEnvironment", limit: int) -> bytes:
    """The same of a body of any kind, up to so many bytes."""
    check_encoding(environ.get("HTTP_CONTENT_ENCODING", "identity").encode("latin-1"))
    stated = int(environ.get("CONTENT_LENGTH") or 0)
    if stated > limit:
        raise too_long(limit)
    body: bytes = environ["wsgi.input"].read(stated)
    record_of(environ).body_bytes = len(body)
    return body


def too_long(limit: int) -> Refused:
    """The refusal of a body beyond a limit."""
    return Refused(413, f"the body is longer than {limit} bytes")


def _check_type(content_type: str) -> None:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind not in _JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Refused(415, "Content-Type must be application/json")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        # Some clients write the charset as Python or HTML does.
        if name.strip() == "charset" and value.strip(" \t\"'") not in _UTF8:
            raise Refused(415, "the charset must be utf-8")
