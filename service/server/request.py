"""One HTTP request as the parser found it, and the rules that the parser leaves to its user."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from service.record import Record
from service.reply import Reply

if TYPE_CHECKING:
    from service.server.site import Endpoint

LONGEST_TARGET: Final = 4096
_MOST_FIELDS: Final = 100
_CHUNKED: Final = b"chunked"
_CONTINUE: Final = b"100-continue"
_VERSIONS: Final = frozenset(("1.1", "1.0"))
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


def head_fault(request: Request, version: str) -> int:  # noqa: PLR0911 - one for each rule
    """The status with which a head is refused, 0 if it is as it should be.

    llhttp in its strict mode lets through what RFC 9112 does not: HTTP/1.1 without exactly one
    Host (3.2), transfer codings other than `chunked` alone, and chunks in HTTP/1.0 (6.1), which an
    older recipient on the way would read differently.
    """
    headers = request.headers
    if version not in _VERSIONS:
        return 400
    if len(request.target) > LONGEST_TARGET:
        return 414
    if len(headers) > _MOST_FIELDS:
        return 431
    host = headers.get(b"host")
    if (host is None and version == "1.1") or (host is not None and not _is_host(host)):
        return 400
    if request.repeated and not _SINGLE.isdisjoint(request.repeated):
        return 400
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.lower() != _CHUNKED):
        return 400
    expectation = headers.get(b"expect")
    if expectation is not None and expectation.lower() != _CONTINUE:
        return 417
    # No request has a fragment, and nothing here makes a tunnel.
    return 400 if b"#" in request.target or request.method == b"CONNECT" else 0


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None
