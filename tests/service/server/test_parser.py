"""Requests out of bytes: what is read, what is refused, and the same however they are cut."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.server.parser import Events, RequestParser
from tests.support.odd_requests import READ, REFUSED, Odd
from tests.support.parsing import Read, Reader, cut, drawn_requests, mutations, read, taken
from tests.support.vacuous import nonempty

HEAD = b"POST /reg/?detail=1 HTTP/1.1\r\nHost: a\r\n"
KIB = 1024


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


def test_it_is_reported_when_a_body_grows_beyond_what_is_allowed() -> None:
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
        requests, fault = read(*cut(data, places))
        assert (len(requests), fault) == (1 - bool(status), status)


@pytest.mark.parametrize("size", [4096, 4097, 40_000])
def test_a_target_may_have_4096_bytes(size: int) -> None:
    data = b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ([data], cut(data, range(0, len(data), 1000))):
        requests, status = read(*pieces)
        faults = {status, *(request.fault for request in requests)} - {0}
        assert faults == ({414} if size > 4096 else set())


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
    length = len(odd.data)
    at_once = 1 if length < 10_000 else 7
    for size in nonempty([size for size in (at_once, 64, 1000, 65_536) if length // size < 20_000]):
        assert taken(*cut(odd.data, range(0, length, size))) == whole


@pytest.mark.parametrize("odd", [odd for odd in READ if len(odd.data) < 1000], ids=lambda o: o.name)
def test_the_corpus_is_read_alike_in_any_two_pieces(odd: Odd) -> None:
    whole = taken(odd.data)
    for place in range(1, len(odd.data)):
        assert taken(*cut(odd.data, [place])) == whole, odd.data[:place]


@given(st.lists(drawn_requests(), min_size=1, max_size=4).map(b"".join), st.data())
def test_requests_are_read_alike_however_they_are_cut(data: bytes, drawn: st.DataObject) -> None:
    places = drawn.draw(st.lists(st.integers(0, len(data)), max_size=30))
    whole = taken(data)
    assert whole[1] == 0
    assert all(request.complete for request in whole[0])
    assert taken(*cut(data, places)) == whole
    assert taken(*cut(data, range(len(data)))) == whole


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
