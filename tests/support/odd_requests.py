"""Requests that servers have read in different ways, and the one right answer to each.

The right answer of a server is by RFC 9110 and 9112; where they leave a choice, the stricter one:
what two recipients could read differently is refused, and the connection closed. Most cases are of
kinds that the HTTP Garden project found in servers and proxies.
"""

from typing import Final, NamedTuple

_LINE: Final = b"GET /healthz HTTP/1.1"
_HOST: Final = b"Host: a"
_UPGRADE: Final = (b"Upgrade: h2c", b"Connection: Upgrade")


class Odd(NamedTuple):
    """Bytes, the statuses of the replies to them, and whether the connection ends then.

    `edge` are the statuses that a client of the edge gets. nginx refuses some requests that are
    read here, and reads some that are refused here: it passes on a form of its own, so that nobody
    reads them otherwise. A refusal at the edge may have any status of `EDGE_REFUSALS`.
    """

    name: str
    data: bytes
    statuses: tuple[int, ...]
    closes: bool
    edge: tuple[int, ...]


# nginx names some faults in other words.
EDGE_REFUSALS: Final = frozenset((400, 414, 417, 431, 501, 505))
# In place of a status, where a reply has none: a page alone, to a request of HTTP/0.9.
HTTP_0_9: Final = 9


def _refused(name: str, data: bytes, status: int = 400, *, edge: int = 0) -> Odd:
    return Odd(name, data, (status,), closes=True, edge=(edge or status,))


def _read(
    name: str, data: bytes, *statuses: int, closes: bool = False, edge: tuple[int, ...] = ()
) -> Odd:
    return Odd(name, data, statuses, closes, edge or statuses)


def _head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (*lines, b""))


def _line(line: bytes) -> bytes:
    """A request with this first line."""
    return _head(line, _HOST)


def _get(*fields: bytes) -> bytes:
    """A GET with these header lines."""
    return _head(_LINE, *fields)


def _field(*lines: bytes) -> bytes:
    """A GET with these lines after its Host."""
    return _get(_HOST, *lines)


def _post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST with these header lines after its Host."""
    return _head(b"POST /healthz HTTP/1.1", _HOST, *fields) + body


def _chunked(body: bytes) -> bytes:
    """A POST with such a body."""
    return _post(b"Transfer-Encoding: chunked", body=body)


_PLAIN: Final = _get(_HOST)

_REQUEST_LINES: Final = (
    _refused("two blanks", _line(b"GET  /healthz HTTP/1.1"), edge=200),
    _refused("a tab between", _line(b"GET\t/healthz HTTP/1.1")),
    _refused("a blank before the method", _line(b" GET /healthz HTTP/1.1")),
    _refused("a blank after the version", _line(b"GET /healthz HTTP/1.1 "), edge=200),
    _refused("no version", _head(b"GET /healthz"), edge=HTTP_0_9),
    _refused("HTTP/0.9", b"GET /healthz\r\n\r\n", edge=HTTP_0_9),
    _refused("a version of three digits", _line(b"GET /healthz HTTP/1.10"), edge=200),
    _refused("a version that is none", _line(b"GET /healthz HTTP/1.x")),
    _refused("HTTP/1.2", _line(b"GET /healthz HTTP/1.2"), edge=200),
    _refused("HTTP/2.0", _line(b"GET /healthz HTTP/2.0")),
    _refused("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _refused("a version in small letters", _line(b"GET /healthz http/1.1")),
    _refused("a method in small letters", _line(b"get /healthz HTTP/1.1")),
    _refused("a method with other signs", _line(b'G=":<>(e) /healthz HTTP/1.1')),
    _refused("CONNECT", _line(b"CONNECT a:80 HTTP/1.1")),
    _refused("a fragment", _line(b"GET /healthz#x HTTP/1.1")),
    _refused("a target without a slash", _line(b"GET healthz HTTP/1.1")),
    _refused("a blank in the target", _line(b"GET /health z HTTP/1.1")),
    _refused("a NUL in the target", _line(b"GET /healthz\0 HTTP/1.1")),
    _refused("raw bytes in the target", _line(b"GET /\xd0\x90 HTTP/1.1"), edge=404),
    _refused(
        "a bare line feed after the version", b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n", edge=200
    ),
    _refused(
        "a line feed for a blank", b"GET /healthz\nHTTP/1.1\r\nHost: a\r\n\r\n", edge=HTTP_0_9
    ),
    _refused("half an empty line before", b"\r" + _PLAIN, edge=200),
    _refused("the other half before", b"\n" + _PLAIN, edge=200),
    _refused("too long a target", _line(b"GET /" + b"a" * 5000 + b" HTTP/1.1"), 414, edge=404),
    _refused("raw bytes in a target that is passed on", _line(b"GET /docs/\xd0\x90 HTTP/1.1")),
    _refused(
        "too long a target that is passed on",
        _line(b"GET /docs/" + b"a" * 5000 + b" HTTP/1.1"),
        414,
    ),
    _refused("two megabytes of empty lines", b"\r\n" * 1_000_000),
)

_HOSTS: Final = (
    _refused("no Host", _get()),
    _refused("two Hosts", _get(b"Host: a", b"Host: b")),
    _refused("the same Host twice", _get(b"Host: a", b"Host: a")),
    _refused("a Host of two words", _get(b"Host: a b")),
    _refused("a Host with a path", _get(b"Host: a/b")),
    _refused("a Host with a user", _get(b"Host: u@a")),
    _refused("a Host with a port that is none", _get(b"Host: a:b"), edge=200),
)

_FIELDS: Final = (
    _refused("a folded line", _field(b"X: a", b" b")),
    _refused("a folded first line", _get(b"\tHost: a")),
    _refused("no colon", _field(b"X a")),
    _refused("no name", _field(b": a")),
    _refused("a blank before the colon", _field(b"X : a")),
    _refused("a NUL in a value", _field(b"X: a\0b")),
    _refused("a return in a value", _field(b"X: a\rb")),
    _refused("a line feed in a value", _field(b"X:\n a")),
    _refused("a bare line feed", _field(b"X: a\nY: b"), edge=200),
    _refused("a name with a byte above 127", _field(b"\xefo: a"), edge=200),
    _refused("a name ended by x85", _field(b"X\x85: a"), edge=200),
    _refused("a name over two lines", _field(b"Trans", b"fer: a"), edge=200),
    _refused("an end by bare line feeds", b"GET /healthz HTTP/1.1\r\nHost: a\n\n", edge=200),
    _refused(
        "an end by a return and another byte",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\rZGET / HTTP/1.1\r\n\r\n",
    ),
    _refused("too many fields", _field(*[b"X%d: a" % n for n in range(120)]), 431),
    _refused("too long a field", _field(b"X: " + b"a" * 40_000), 431),
    _refused("an unknown expectation", _post(b"Expect: tea", b"Content-Length: 0"), 417, edge=405),
)

_BAD_LENGTHS: Final = (
    *(b"", b"+10", b"-1", b"1_0", b"0x10", b"10 ten", b"1Z", b"5, 5", b"1.0", b"\x0b5"),
    b"99999999999999999999999",
)
_LENGTHS: Final = (
    *(
        _refused(f"a length of {bad!r}", _post(b"Content-Length: " + bad, body=b"0123456789"))
        for bad in _BAD_LENGTHS
    ),
    _refused("two lengths", _post(b"Content-Length: 1", b"Content-Length: 0", body=b"Z")),
    _refused("the same length twice", _post(b"Content-Length: 1", b"Content-Length: 1", body=b"Z")),
    _refused(
        "a length and chunks",
        _post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    _refused(
        "chunks and a length",
        _post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    ),
)

_BAD_CODINGS: Final = (
    *(b"gzip, chunked", b"chunked, gzip", b"gzip", b"identity", b",chunked", b"chunked,"),
    *(b"chunked, chunked", b"xchunked", b"chunked;x", b"\xa0chunked", b"\x0bchunked"),
    *(b'"chunked"', b""),
)
_CODINGS: Final = (
    *(
        _refused(f"a coding of {bad!r}", _post(b"Transfer-Encoding: " + bad, body=b"0\r\n\r\n"))
        for bad in _BAD_CODINGS
    ),
    _refused("a folded coding", _post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n")),
    _refused("chunked twice", _post(*[b"Transfer-Encoding: chunked"] * 2, body=b"0\r\n\r\n")),
    _refused(
        "chunks in HTTP/1.0",
        _head(b"POST /healthz HTTP/1.0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ),
)

_BAD_SIZES: Final = (
    *(b"", b"0x2", b"+2", b"-2", b"0_2", b" 2", b"zz", b"ffffffffffffffffff", b"2\n"),
    b"2\r\r;a",
)
_CHUNKS: Final = (
    *(
        _refused(f"a chunk of {bad!r}", _chunked(bad + b"\r\n{}\r\n0\r\n\r\n"))
        for bad in _BAD_SIZES
    ),
    _refused("a chunk of two sizes", _chunked(b"2 2\r\n{}\r\n0\r\n\r\n"), edge=405),
    _refused("a return in an extension", _chunked(b"2;a\rb\r\n{}\r\n0\r\n\r\n")),
    _refused("a line feed in an extension", _chunked(b"2;a\nb\r\n{}\r\n0\r\n\r\n")),
    _refused("no end of a chunk", _chunked(b"2\r\n{}0\r\n\r\n")),
    _refused("a chunk that ends in a line feed", _chunked(b"2\r\n{}\n0\r\n\r\n"), edge=405),
    _refused("a size that ends in a line feed", _chunked(b"2\n{}\r\n0\r\n\r\n"), edge=405),
    _refused("a last chunk that ends in line feeds", _chunked(b"2\r\n{}\r\n0\n\n"), edge=405),
    _refused(
        "two other bytes for the last line", _chunked(b"2\r\n{}\r\n0\r\nXX\r\n\r\n"), edge=405
    ),
    _refused(
        "an extension of a megabyte",
        _chunked(b"2;" + b"a" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n"),
        edge=405,
    ),
    _refused("a byte in each chunk", _chunked(b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n"), edge=413),
    _refused(
        "a trailer of a megabyte",
        _chunked(b"0\r\n" + b"X: a\r\n" * 170_000 + b"\r\n"),
        431,
        edge=405,
    ),
)

REFUSED: Final = (*_REQUEST_LINES, *_HOSTS, *_FIELDS, *_LENGTHS, *_CODINGS, *_CHUNKS)

READ: Final = (
    _read("a plain request", _PLAIN, 200),
    _read("an empty line before", b"\r\n" + _PLAIN, 200),
    _read("an empty Host", _get(b"Host:"), 200, edge=(400,)),
    _read("a Host with a port", _get(b"Host: a.example:80"), 200),
    _read("a Host that is an address", _get(b"Host: [::1]:80"), 200),
    _read("a name in capitals", _get(b"HOST: a"), 200),
    _read("tabs about a value", _get(b"Host:\ta\t"), 200, edge=(400,)),
    _read(
        "blanks about a value",
        _get(b"Host:  a  ") + _get(b"Host: a \t "),
        200,
        200,
        edge=(200, 400),
    ),
    _read(
        "blanks after a coding",
        _post(b"Transfer-Encoding: chunked ", body=b"0\r\n\r\n") + _PLAIN,
        *(405, 200),
    ),
    _read("a blank after a length", _post(b"Content-Length: 2 ", body=b"{}") + _PLAIN, 405, 200),
    _read("an empty value", _field(b"X:"), 200),
    _read("bytes above 127 in a value", _field(b"X: \xd0\x90"), 200),
    _read("a full address", _line(b"GET http://b/healthz?x HTTP/1.1"), 200),
    _read("an escape in the path", _line(b"GET /health%7A HTTP/1.1"), 200),
    _read(
        "leading zeros in a length", _post(b"Content-Length: 0002", body=b"{}") + _PLAIN, 405, 200
    ),
    _read(
        "chunked in capitals",
        _post(b"Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n") + _PLAIN,
        *(405, 200),
    ),
    _read("an extension", _chunked(b'2;a="b"\r\n{}\r\n0\r\n\r\n') + _PLAIN, 405, 200),
    _read("a trailer", _chunked(b"2\r\n{}\r\n0\r\nX: a\r\n\r\n") + _PLAIN, 405, 200),
    _read(
        "a trailer named as a field of the head",
        _chunked(b"0\r\nHost: b\r\n\r\n") + _PLAIN,
        *(405, 200),
    ),
    _read("a chunk with leading zeros", _chunked(b"0002\r\n{}\r\n000\r\n\r\n") + _PLAIN, 405, 200),
    _read(
        "a tab before a length",
        _post(b"Content-Length:\t2", body=b"{}") + _PLAIN,
        405,
        200,
        edge=(400,),
    ),
    _read("a POST without a body", _post() + _PLAIN, 405, 200),
    _read("an escaped end of line", _line(b"GET /docs/%0d%0aX:%20a HTTP/1.1"), 404),
    _read("an escaped NUL", _line(b"GET /docs/%00 HTTP/1.1"), 404, edge=(400,)),
    _read("a body of a GET", _field(b"Content-Length: 2") + b"{}" + _PLAIN, 200, 200),
    _read("a hundred at once", _PLAIN * 100, *[200] * 100),
    _read("HTTP/1.0", _head(b"GET /healthz HTTP/1.0"), 200, closes=True),
    _read(
        "HTTP/1.0 that is kept",
        _head(b"GET /healthz HTTP/1.0", b"Connection: keep-alive") + _PLAIN,
        *(200, 200),
    ),
    _read("one more after the last", _field(b"Connection: close") + _PLAIN, 200, closes=True),
    _read(
        "an upgrade",
        _field(
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        )
        + _PLAIN,
        *(200, 200),
    ),
    _read(
        "an upgrade with a body",
        _post(*_UPGRADE, b"Content-Length: 2", body=b"{}") + _PLAIN,
        *(405, 200),
    ),
    _read(
        "an upgrade with chunks",
        _post(*_UPGRADE, b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n") + _PLAIN,
        *(405, 200),
    ),
    _read("nonsense after a request", _PLAIN + b"nonsense\r\n\r\n", 200, 400, closes=True),
    _read("a broken chunk after a request", _PLAIN + _chunked(b"zz\r\n"), 200, 400, closes=True),
)
