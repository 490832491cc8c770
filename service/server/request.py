"""One parsed HTTP request, and the rules that the parser leaves to its user."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from service.http.reply import Reply
from service.telemetry.record import Record

if TYPE_CHECKING:
    from service.server.site import Endpoint

LONGEST_TARGET: Final = 4096
MOST_FIELDS: Final = 100
_CHUNKED: Final = b"chunked"
_CONTINUE: Final = b"100-continue"
# Two of these are two readings of one request.
_SINGLE: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"content-type", b"expect")
)
# RFC 3986, 3.2.2: a name or an IPv4 address, or an IP literal in brackets; then a port.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class Request(Struct, gc=False, eq=False):
    """Filled in while it is parsed.

    Header names are in lower case; fields that are repeated are joined, and named in `repeated`.
    `keep_alive` says whether the connection may go on after the reply. `began` is when the head
    was complete, by `perf_counter`. Of the body, `missing` bytes are still to come if its length
    was stated, `received` have come, and no more than `limit` are accepted; `reserved` are counted
    in the budget, and `allowed` may come before more has to be reserved. `body` holds them once
    the message is `complete`. `refusal` is a reply that was decided on before that.
    """

    record: Record
    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    repeated: Collection[bytes]
    keep_alive: bool
    began: float
    endpoint: "Endpoint | None" = None
    missing: int = 0
    received: int = 0
    limit: int = 0
    allowed: int = 0
    reserved: int = 0
    body: bytes = b""
    complete: bool = False
    refusal: Reply | None = None

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return b"transfer-encoding" in self.headers


def head_fault(request: Request, raw: bytes) -> int:
    """The status with which a request is refused for its head, 0 if that is right.

    `raw` is the head as it came.
    """
    if len(request.target) > LONGEST_TARGET:
        return 414
    if not _is_http(request, raw):
        return 400
    expectation = request.headers.get(b"expect")
    if expectation is None:
        return 0
    if not raw.startswith(b"HTTP/1.1", len(request.method) + len(request.target) + 2):
        del request.headers[b"expect"]  # HTTP/1.0 does not know it (RFC 9110, 10.1.1)
        return 0
    return 417 if expectation.lower() != _CONTINUE else 0


def _is_http(request: Request, raw: bytes) -> bool:
    """Whether a head is as RFC 9112 wants it, where llhttp in its strict mode lets more through.

    That is other blanks in the first line and other versions, HTTP/1.1 without exactly one Host
    (3.2), transfer codings other than `chunked` alone, and chunks in HTTP/1.0 (6.1), which an older
    recipient on the way would read differently.
    """
    method, target, headers = request.method, request.target, request.headers
    is_newest = raw.startswith(b"%b %b HTTP/1.1\r\n" % (method, target))
    if not is_newest and not raw.startswith(b"%b %b HTTP/1.0\r\n" % (method, target)):
        return False
    host = headers.get(b"host")
    if (host is None and is_newest) or not _are_right(host, target):
        return False
    if request.repeated and not _SINGLE.isdisjoint(request.repeated):
        return False
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (not is_newest or coding.lower() != _CHUNKED):
        return False
    return method != b"CONNECT"  # nothing here makes a tunnel


# Clients use the same few.
@lru_cache(maxsize=256)
def _are_right(host: bytes | None, target: bytes) -> bool:
    return b"#" not in target and (host is None or _HOST.fullmatch(host) is not None)


def path_of(target: bytes) -> bytes:
    """The path of a request's target, escapes resolved; also out of a proxy's http://host/path."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return unquote_to_bytes(path) if b"%" in path else path
