"""Requests as the parser reads them, and requests that are drawn for it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

from hypothesis import strategies as st

from service.server.parser import BadRequest, Events, RequestParser
from service.server.request import Request
from service.telemetry.record import Record
from tests.support.odd_requests import READ, REFUSED


class Read(NamedTuple):
    """One request as it was parsed."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    repeated: tuple[bytes, ...]
    keep_alive: bool
    fault: int
    body: bytes
    complete: bool


class Reader:
    """Feeds a parser as a connection does, and notes what comes of it."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.requests: list[Request] = []
        self.faults: list[int] = []
        self.grown: list[int] = []
        self.status = 0
        self._limit = limit
        self.parser = RequestParser(Events(self._record, self._head, self._body))

    def feed(self, data: bytes) -> None:
        at = 0
        try:
            while at < len(data) and not self.status:
                went = self.parser.feed(data, at)
                assert at < went <= len(data)
                at = went
        except BadRequest as fault:
            self.status = fault.status

    @property
    def outcome(self) -> tuple[list[Read], int]:
        """The requests, and the status with which what followed is refused, 0 for none."""
        return [
            Read(
                request.method,
                request.target,
                tuple(sorted(request.headers.items())),
                tuple(sorted(request.repeated)),
                request.keep_alive,
                fault,
                request.body,
                request.complete,
            )
            for request, fault in zip(self.requests, self.faults, strict=True)
        ], self.status

    @staticmethod
    def _record(method: bytes, headers: dict[bytes, bytes]) -> Record:
        del method, headers
        return Record("id")

    def _head(self, request: Request, fault: int) -> None:
        request.allowed = self._limit
        self.requests.append(request)
        self.faults.append(fault)

    def _body(self, request: Request) -> None:
        self.grown.append(request.received)
        request.allowed += self._limit


def read(*pieces: bytes) -> tuple[list[Read], int]:
    reader = Reader()
    for piece in pieces:
        reader.feed(piece)
    return reader.outcome


def taken(*pieces: bytes) -> tuple[list[Read], int]:
    """The requests that are let in, and the status with which what follows is refused.

    What is wrong with a head shows sooner when it does not come at once.
    """
    requests, status = read(*pieces)
    good = list(takewhile(lambda request: not request.fault, requests))
    return good, requests[len(good)].fault if len(good) < len(requests) else status


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    at = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[begin:end] for begin, end in pairwise(at)]


METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS")


_NAMES = st.sampled_from([b"X-A", b"x-a", b"Accept", b"X-Api-Key", b"Accept-Language", b"Cookie"])
_VALUES = st.binary(max_size=20).map(
    lambda value: bytes(byte for byte in value if byte == 9 or (byte >= 32 and byte != 127))
)
_BODIES = st.binary(max_size=300)


@st.composite
def drawn_requests(draw: st.DrawFn, methods: Sequence[bytes] = METHODS) -> bytes:
    """A request that any server takes."""
    method = draw(st.sampled_from(methods))
    target = draw(st.sampled_from([b"/", b"/reg/", b"/reg/?detail=1", b"http://a/healthz", b"*"]))
    lines = [b"%b %b HTTP/1.1" % (method, b"/" if target == b"*" else target), b"Host: a"]
    fields = draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=4))
    lines += [b"%b:%b" % (name, value) for name, value in fields]
    body, size = draw(_BODIES), draw(st.integers(1, 50))
    if draw(st.booleans()):
        lines.append(b"Upgrade: h2c\r\nConnection: Upgrade")
    kind = draw(st.sampled_from(["none", "length", "chunks"]))
    if kind == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif kind == "chunks":
        lines.append(b"Transfer-Encoding: chunked")
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        trailer = draw(st.sampled_from([b"", b"X-T: a\r\n"]))
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        body += b"0\r\n%b\r\n" % trailer
    else:
        body = b""
    before = b"\r\n" * draw(st.integers(0, 2))
    return before + b"\r\n".join((*lines, b"", b"")) + body


_GARBAGE = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"HTTP/1.1",
        b"0\r\n",
        b"Host: b\r\n",
        b"\xff",
    ]
)


@st.composite
def mutations(draw: st.DrawFn, methods: Sequence[bytes] = METHODS) -> bytes:
    """Some requests of the corpus or of no fault, with a few pieces cut out or put in."""
    short = [odd.data for odd in (*REFUSED, *READ) if len(odd.data) < 1000]
    parts = st.one_of(drawn_requests(methods), st.sampled_from(short))
    data = b"".join(draw(st.lists(parts, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(_GARBAGE) + data[at + draw(st.integers(0, 3)) :]
    return data
