"""Reading a request body: its kind, its size, its end."""

from codecs import BOM_UTF8, BOM_UTF16_LE
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

from gunicorn.http.errors import ParseException

from service.errors import Refused

# Where the server puts the context that ends a wait for a body.
WAIT: Final = "scoring.wait"

_JSON: Final = frozenset(("application/json", "text/json"))
_UTF8: Final = frozenset(("utf-8", "utf8", "utf_8", "us-ascii", "ascii"))
# What may stand before an array's bracket: blanks, the quote of an encoded one, marks of UTF-8,
# which is passed over, and of UTF-16, which is refused, but for what it is.
_BEFORE: Final = b' \t\r\n"' + BOM_UTF8 + BOM_UTF16_LE + b"\0"


def read(environ: Mapping[str, Any], single_limit: int, array_limit: int) -> bytes:
    """The whole body, at most `single_limit` bytes, or `array_limit` if it is an array.

    Raises Refused: 415 when it is not JSON in UTF-8, 413 when it is too long, 408 when it
    is too slow, 400 when it ends before its Content-Length.
    """
    _check_type(environ.get("CONTENT_TYPE", ""))
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise Refused(415, "Content-Encoding must be identity")
    stated = environ.get("CONTENT_LENGTH") or None
    length = int(stated) if stated else None
    if length is not None and length > array_limit:
        raise _too_long(array_limit)
    # Without a length the body is chunked: the server ends the stream where the body ends.
    body = _read(environ, array_limit + 1 if length is None else length)
    if length is not None and len(body) < length:
        raise Refused(400, "the body ends before its Content-Length")
    limit = array_limit if body.lstrip(_BEFORE)[:1] == b"[" else single_limit
    if len(body) > limit:
        raise _too_long(limit)
    return body


def _read(environ: Mapping[str, Any], size: int) -> bytes:
    try:
        with environ.get(WAIT) or nullcontext():
            body: bytes = environ["wsgi.input"].read(size)
    except TimeoutError:
        raise Refused(408, "the body took too long to come") from None
    except (ParseException, OSError):
        raise Refused(400, "the body ends early, or its chunks are not valid") from None
    return body


def _check_type(content_type: str) -> None:
    if content_type == "application/json":
        return
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind not in _JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Refused(415, "Content-Type must be application/json")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        # Some clients write it in the manner of Python or of HTML.
        if name.strip() == "charset" and value.strip(" \t\"'") not in _UTF8:
            raise Refused(415, "the charset must be utf-8")


def _too_long(limit: int) -> Refused:
    return Refused(413, f"the body is longer than {limit} bytes")
