"""Refusing at a glance: under load most requests get their 429 before they are parsed.

To parse a head and call the app costs a fifth of a millisecond. At that price refusals would
themselves be the overload; by a look at the raw bytes they cost some 30 µs.
"""

import logging
import re
from collections import Counter
from typing import Final, NamedTuple, TypeAlias

from service.admission import TEXTS, Admission, retry_after
from service.auth import KeyRing
from service.door import Door
from service.reply import fail

# Of a body that nobody wants: what is read to keep the connection.
WORTH_READING: Final = 64 * 1024

# The head of a plain request. Whatever else there is, another method or address, chunks, two
# lengths, half a head, is for the parser.
_HEAD: Final = re.compile(
    rb"POST /reg/?(?:\?detail=[01])? HTTP/1\.1\r\n((?:[!#-'*+.0-9A-Z^-z|~-]+:[^\r\n]*\r\n)+)\r\n"
)
_NOT_PLAIN: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_LONGEST_NUMBER: Final = 8

Fields: TypeAlias = dict[bytes, bytes]


def _fixed(reason: str) -> tuple[bytes, bytes]:
    """What is the same in all replies of a reason: the begin of the head, and the body."""
    body = fail(429, TEXTS[reason]).body
    return (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
        b"Connection: keep-alive\r\nContent-Length: %d\r\n" % len(body),
        body,
    )


_FIXED: Final = {reason: _fixed(reason) for reason in TEXTS}


class Refusal(NamedTuple):
    """A reply, and how many bytes of the body are still to come before the next request."""

    reply: bytes
    missing: int


class Glance:
    """Tells from the bytes that came whether their request would be refused, and the reply."""

    def __init__(self, admission: Admission, door: Door, keys: KeyRing) -> None:
        self._admission = admission
        self._door = door
        self._keys = keys
        self._untold: Counter[str] = Counter()

    def refusal(self, data: bytes) -> Refusal | None:
        """The reply to a request that is not let in now; None if it is to be parsed."""
        if not self._admission.busy:
            return None
        head = _HEAD.match(data)
        fields = _fields(head[1]) if head else None
        if head is None or fields is None:
            return None
        size = int(fields[b"content-length"])
        missing = head.end() + size - len(data)
        if not 0 <= missing <= WORTH_READING:
            return None
        reason = self._admission.closed_to(size)
        return Refusal(self._reply(fields, reason), missing) if reason else None

    def tell(self, log: logging.Logger) -> None:
        """One line for all since the last: a line for each would cost more than the refusal."""
        untold, self._untold = self._untold, Counter()
        if untold:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(untold.items()))
            log.warning("%d requests were refused with 429: %s", untold.total(), reasons)

    def _reply(self, fields: Fields, reason: str) -> bytes:
        self._admission.count(reason)
        self._untold[reason] += 1
        key = fields.get(b"x-api-key", b"").decode("latin-1")
        given_id = fields.get(b"x-request-id", b"").decode("latin-1")
        environ = {"HTTP_X_REQUEST_ID": given_id, "HTTP_X_API_KEY": key}
        request_id, version = self._door.refused(environ, "429", self._keys.name_of(key) or "")
        varying = (
            f"X-Request-Id: {request_id}\r\nX-Model-Version: {version}\r\n"
            f"Retry-After: {retry_after()}\r\n\r\n"
        )
        head, body = _FIXED[reason]
        return b"%b%b%b" % (head, varying.encode(), body)


def _fields(head: bytes) -> Fields | None:
    """The fields by name; None unless all are plain, each is there once and the length is known."""
    lines = head.split(b"\r\n")[:-1]
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" \t")
    length = fields.get(b"content-length", b"")
    if (
        len(fields) < len(lines)
        or not _NOT_PLAIN.isdisjoint(fields)
        or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive"
        or not (length.isdigit() and len(length) <= _LONGEST_NUMBER)
    ):
        return None
    return fields
