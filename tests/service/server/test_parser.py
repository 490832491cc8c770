"""Requests out of bytes: what is read, what is refused, and the same however they are cut."""

from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.server.parser import BadRequest, Events, RequestParser
from service.server.request import Request
from service.telemetry.record import Record
from tests.support.odd_requests import READ, REFUSED, Odd

HEAD = b"POST /reg/?detail=1 HTTP/1.1\r\nHost: a\r\n"
KIB = 1024


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


def test_a_request_is_read_as_it_was_sent() -> None:
    data = HEAD + b"X-Api-Key: K:1 \r\nX-List: a\r\nx-list: b\r\nContent-Length: 2\r\n\r\n{}"
    ((request,), status) = read(data)
    assert status == 0
    assert request == Read(
        b"POST",
        b"/reg/?detail=1",
        ((b"content-length", b"2"), (b"host", b"a"), (b"x-api-key", b"K:1"), (b"x-list", b"a,b")),
        (b"x-list",),
        keep_alive=True,
        fault=0,
        body=b"{}",
        complete=True,
    )


def test_its_head_is_known_before_its_body() -> None:
    reader = Reader()
    reader.feed(HEAD)
    raw = [reader.parser.raw_head]
    assert reader.requests == []
    reader.feed(b"Content-Length: 4\r\n\r\n")
    (request,) = reader.requests
    raw.append(reader.parser.raw_head)
    assert raw == [HEAD, b""]
    assert reader.parser.request is request
    assert (request.missing, request.complete) == (4, False)
    reader.feed(b"{ ")
    assert (request.missing, request.received, request.complete) == (2, 2, False)
    reader.feed(b" }")
    assert (request.body, request.complete) == (b"{  }", True)
    assert reader.parser.request is None


def test_what_follows_a_request_stays_unread() -> None:
    one = HEAD + b"Content-Length: 2\r\n\r\n{}"
    reader = Reader()
    assert reader.parser.feed(one + one, 0) == len(one) - 2
    assert reader.parser.feed(one + one, len(one) - 2) == len(one)
    assert [request.complete for request in reader.requests] == [True]
    assert reader.parser.feed(one + one, len(one)) == 2 * len(one) - 2


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_whether_the_connection_is_kept(lines: bytes, *, kept: bool) -> None:
    ((request,), _) = read(lines + b"\r\n")
    assert request.keep_alive is kept
    assert request.fault == 0


def test_a_refused_body_is_not_kept() -> None:
    reader = Reader()
    reader.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{ \r\n")
    refused: Any = object()
    reader.requests[0].refusal = refused
    reader.feed(b"2\r\n }\r\n0\r\n\r\n")
    assert reader.requests[0].body == b""
    assert reader.requests[0].received == 4
    assert reader.requests[0].complete


def test_it_is_told_when_a_body_grows_beyond_what_is_allowed() -> None:
    reader = Reader(limit=10)
    reader.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(4):
        reader.feed(b"6\r\n" + b"a" * 6 + b"\r\n")
    assert reader.grown == [12, 24]


def test_an_error_of_an_event_is_raised_as_it_is() -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    parser = RequestParser(Events(Reader._record, fail, fail))
    with pytest.raises(ZeroDivisionError):
        parser.feed(HEAD + b"\r\n", 0)


# Limits.


def _padded(size: int, line: bytes = b"GET / HTTP/1.1\r\n") -> bytes:
    """A head of so many bytes."""
    rest = b"Host: a\r\nX: \r\n\r\n"
    return line + rest[:-4] + b"a" * (size - len(line) - len(rest)) + rest[-4:]


@pytest.mark.parametrize("pieces", [1, 2, 700])
def test_a_head_may_have_32_kib(pieces: int) -> None:
    for size, status in ((32 * KIB, 0), (32 * KIB + 1, 431)):
        data = _padded(size)
        assert len(data) == size
        places = range(0, size, max(1, size // pieces))
        requests, found = read(*cut(data, places))
        assert (len(requests), found) == (1 - bool(status), status)


@pytest.mark.parametrize("size", [4096, 4097, 40_000])
def test_a_target_may_have_4096_bytes(size: int) -> None:
    data = b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ([data], cut(data, range(0, len(data), 1000))):
        requests, status = read(*pieces)
        found = {status, *(request.fault for request in requests)} - {0}
        assert found == ({414} if size > 4096 else set())


def test_an_endless_target_ends_at_the_longest_head() -> None:
    reader = Reader()
    sent = 0
    while not reader.status:
        reader.feed(b"GET /" if not sent else b"a" * 1000)
        sent += 1000
    assert reader.status == 414
    assert sent <= 34 * KIB


def test_an_endless_head_ends_at_the_longest_head() -> None:
    reader = Reader()
    reader.feed(b"GET / HTTP/1.1\r\n")
    sent = 0
    while not reader.status:
        reader.feed(b"X: aaaaaaaaaaaaaaaaaaa\r\n")
        sent += 1
    assert reader.status == 431
    assert sent * 24 <= 33 * KIB


@pytest.mark.parametrize(("fields", "fault"), [(100, 0), (101, 431)])
def test_a_head_may_have_100_fields(fields: int, fault: int) -> None:
    lines = b"".join(b"X%d: a\r\n" % number for number in range(fields - 1))
    requests, status = read(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert (status, len(requests)) == (fault, 0 if fault else 1)


@pytest.mark.parametrize("cut_in_two", [False, True])
@pytest.mark.parametrize(("lines", "refused"), [(2, False), (3, True)])
def test_two_empty_lines_may_come_before_a_request(
    lines: int, *, refused: bool, cut_in_two: bool
) -> None:
    data = b"\r\n" * lines + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for count in (1, 2):  # as many before each request
        places = range(count * len(data)) if cut_in_two else ()
        requests, status = read(*cut(data * count, places))
        assert (status, len(requests)) == ((400, 0) if refused else (0, count))


@pytest.mark.parametrize("size", [1, 7, 63, 64, 65])
def test_after_a_thousand_chunks_they_must_have_64_bytes_on_average(size: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"a" * size)
    reader = Reader()
    reader.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    sent = 0
    while not reader.status and sent < 80_000:
        reader.feed(chunk)
        sent += 1
    assert reader.status == (400 if size < 64 else 0)
    if size < 64:
        assert sent == 1001 + (sent - 1) * size // 64


# However the bytes are cut.


@pytest.mark.parametrize("odd", [*REFUSED, *READ], ids=lambda odd: odd.name)
def test_the_corpus_is_read_alike_byte_by_byte(odd: Odd) -> None:
    whole = taken(odd.data)
    if len(odd.data) < 10_000:
        assert taken(*cut(odd.data, range(len(odd.data)))) == whole
    for size in (7, 64, 1000, 65_536):
        if len(odd.data) // size < 20_000:
            assert taken(*cut(odd.data, range(0, len(odd.data), size))) == whole


@pytest.mark.parametrize("odd", [odd for odd in READ if len(odd.data) < 1000], ids=lambda o: o.name)
def test_the_corpus_is_read_alike_in_any_two_pieces(odd: Odd) -> None:
    whole = taken(odd.data)
    for place in range(1, len(odd.data)):
        assert taken(*cut(odd.data, [place])) == whole, odd.data[:place]


METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS")
_NAMES = st.sampled_from([b"X-A", b"x-a", b"Accept", b"X-Api-Key", b"Accept-Language", b"Cookie"])
_VALUES = st.binary(max_size=20).map(
    lambda value: bytes(byte for byte in value if byte == 9 or (byte >= 32 and byte != 127))
)
_BODIES = st.binary(max_size=300)


@st.composite
def _requests(draw: st.DrawFn, methods: Sequence[bytes] = METHODS) -> bytes:
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


@given(st.lists(_requests(), min_size=1, max_size=4).map(b"".join), st.data())
def test_requests_are_read_alike_however_they_are_cut(data: bytes, drawn: st.DataObject) -> None:
    places = drawn.draw(st.lists(st.integers(0, len(data)), max_size=30))
    whole = taken(data)
    assert whole[1] == 0
    assert all(request.complete for request in whole[0])
    assert taken(*cut(data, places)) == whole
    assert taken(*cut(data, range(len(data)))) == whole


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
    parts = st.one_of(_requests(methods), st.sampled_from(short))
    data = b"".join(draw(st.lists(parts, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(_GARBAGE) + data[at + draw(st.integers(0, 3)) :]
    return data


@given(mutations(), st.data())
@example(b"GET  / HTTP/1.1\r\nX: " + b"a" * 40_000, None)
def test_what_is_refused_is_refused_however_it_is_cut(data: bytes, drawn: Any) -> None:
    size = len(data)
    places = drawn.draw(st.lists(st.integers(0, size), max_size=30)) if drawn else [20, 30]
    whole = taken(data)
    for pieces in (cut(data, places), cut(data, range(len(data)))):
        requests, status = taken(*pieces)
        assert requests == whole[0]
        assert bool(status) == bool(whole[1])
