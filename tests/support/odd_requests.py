"""Requests that servers have read in different ways, and the one right answer to each.

The right answer of a server is by RFC 9110 and 9112; where they leave a choice, the stricter one:
what two recipients could read differently is refused, and the connection closed. Most cases are of
kinds that the HTTP Garden project found in servers and proxies.
"""

from typing import Final, NamedTuple

_GET: Final = b"GET /healthz HTTP/1.1\r\n"
_HOST: Final = b"Host: a\r\n"
_POST: Final = b"POST /healthz HTTP/1.1\r\nHost: a\r\n"
_CHUNKED: Final = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_PLAIN: Final = _GET + _HOST + b"\r\n"


class Odd(NamedTuple):
    """Bytes, the statuses of the replies to them, and whether the connection ends then.

    `edge` are the statuses that a client of the edge gets; None where they are the same. nginx
    reads some requests that are refused here, and passes on its own form of them.
    """

    name: str
    data: bytes
    statuses: tuple[int, ...]
    closes: bool
    edge: tuple[int, ...] | None = None


def _refused(name: str, data: bytes, status: int = 400, edge: tuple[int, ...] | None = None) -> Odd:
    return Odd(name, data, (status,), closes=True, edge=edge)


def _read(name: str, data: bytes, *statuses: int, closes: bool = False) -> Odd:
    return Odd(name, data, statuses, closes)


def _head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (*lines, b""))


REFUSED: Final = (
    # The request line.
    _refused("two blanks", _head(b"GET  /healthz HTTP/1.1", b"Host: a")),
    _refused("a tab between", _head(b"GET\t/healthz HTTP/1.1", b"Host: a")),
    _refused("a blank before the method", _head(b" GET /healthz HTTP/1.1", b"Host: a")),
    _refused("a blank after the version", _head(b"GET /healthz HTTP/1.1 ", b"Host: a")),
    _refused("no version", _head(b"GET /healthz")),
    _refused("HTTP/0.9", b"GET /healthz\r\n\r\n"),
    _refused("a version of three digits", _head(b"GET /healthz HTTP/1.10", b"Host: a")),
    _refused("a version that is none", _head(b"GET /healthz HTTP/1.x", b"Host: a")),
    _refused("HTTP/1.2", _head(b"GET /healthz HTTP/1.2", b"Host: a")),
    _refused("HTTP/2.0", _head(b"GET /healthz HTTP/2.0", b"Host: a")),
    _refused("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _refused("a version in small letters", _head(b"GET /healthz http/1.1", b"Host: a")),
    _refused("a method in small letters", _head(b"get /healthz HTTP/1.1", b"Host: a")),
    _refused("a method with other signs", _head(b'G=":<>(e) /healthz HTTP/1.1', b"Host: a")),
    _refused("CONNECT", _head(b"CONNECT a:80 HTTP/1.1", b"Host: a")),
    _refused("a fragment", _head(b"GET /healthz#x HTTP/1.1", b"Host: a")),
    _refused("a target without a slash", _head(b"GET healthz HTTP/1.1", b"Host: a")),
    _refused("a blank in the target", _head(b"GET /health z HTTP/1.1", b"Host: a")),
    _refused("a NUL in the target", _head(b"GET /healthz\0 HTTP/1.1", b"Host: a")),
    _refused("raw bytes in the target", _head(b"GET /\xd0\x90 HTTP/1.1", b"Host: a")),
    _refused("a bare line feed after the version", b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n"),
    _refused("a line feed for a blank", b"GET /healthz\nHTTP/1.1\r\nHost: a\r\n\r\n"),
    # Host.
    _refused("no Host", _head(b"GET /healthz HTTP/1.1")),
    _refused("two Hosts", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"Host: b")),
    _refused("the same Host twice", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"Host: a")),
    _refused("a Host of two words", _head(b"GET /healthz HTTP/1.1", b"Host: a b")),
    _refused("a Host with a path", _head(b"GET /healthz HTTP/1.1", b"Host: a/b")),
    _refused("a Host with a user", _head(b"GET /healthz HTTP/1.1", b"Host: u@a")),
    _refused("a Host with a port that is none", _head(b"GET /healthz HTTP/1.1", b"Host: a:b")),
    # Header lines.
    _refused("a folded line", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X: a", b" b")),
    _refused("a folded first line", _head(b"GET /healthz HTTP/1.1", b"\tHost: a")),
    _refused("no colon", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X a")),
    _refused("no name", _head(b"GET /healthz HTTP/1.1", b"Host: a", b": a")),
    _refused("a blank before the colon", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X : a")),
    _refused("a NUL in a value", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X: a\0b")),
    _refused("a return in a value", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X: a\rb")),
    _refused("a line feed in a value", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X:\n a")),
    _refused("a bare line feed", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X: a\nY: b")),
    _refused("a name with a byte above 127", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"\xefo: a")),
    _refused("a name ended by x85", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X\x85: a")),
    _refused("a name over two lines", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"Trans", b"fer: a")),
    _refused("an end by bare line feeds", b"GET /healthz HTTP/1.1\r\nHost: a\n\n"),
    _refused("an end by a return and another byte", _GET + _HOST + b"\rZGET / HTTP/1.1\r\n\r\n"),
    _refused("too many fields", _head(b"GET /healthz HTTP/1.1", b"Host: a", *[b"X%d: a" % n for n in range(120)]), 431),
    _refused("too long a field", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X: " + b"a" * 40_000), 431),
    _refused("too long a target", _head(b"GET /" + b"a" * 5000 + b" HTTP/1.1", b"Host: a"), 414),
    _refused("two megabytes of empty lines", b"\r\n" * 1_000_000),
    # Content-Length.
    *(
        _refused(f"a length of {value!r}", _POST + b"Content-Length: " + value + b"\r\n\r\n0123456789")
        for value in (b"", b"+10", b"-1", b"1_0", b"0x10", b"10 ten", b"1Z", b"5, 5", b"1.0", b"\x0b5", b"99999999999999999999999")
    ),
    _refused("two lengths", _head(b"POST /healthz HTTP/1.1", b"Host: a", b"Content-Length: 1", b"Content-Length: 0") + b"Z"),
    _refused("the same length twice", _head(b"POST /healthz HTTP/1.1", b"Host: a", b"Content-Length: 1", b"Content-Length: 1") + b"Z"),
    _refused("a length and chunks", _head(b"POST /healthz HTTP/1.1", b"Host: a", b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    _refused("chunks and a length", _head(b"POST /healthz HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n"),
    # Transfer-Encoding.
    *(
        _refused(f"a coding of {value!r}", _POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n")
        for value in (b"gzip, chunked", b"chunked, gzip", b"gzip", b"identity", b",chunked", b"chunked,", b"chunked, chunked", b"xchunked", b"chunked;x", b"\xa0chunked", b"\x0bchunked", b'"chunked"', b"")
    ),
    _refused("chunked twice", _head(b"POST /healthz HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    _refused("chunks in HTTP/1.0", _head(b"POST /healthz HTTP/1.0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    # Chunks.
    *(
        _refused(f"a chunk of {size!r}", _CHUNKED + size + b"\r\n{}\r\n0\r\n\r\n")
        for size in (b"", b"0x2", b"+2", b"-2", b"0_2", b"2 2", b" 2", b"zz", b"ffffffffffffffffff", b"2\n", b"2\r\r;a")
    ),
    _refused("no end of a chunk", _CHUNKED + b"2\r\n{}0\r\n\r\n"),
    _refused("a chunk that ends in a line feed", _CHUNKED + b"2\r\n{}\n0\r\n\r\n"),
    _refused("a size that ends in a line feed", _CHUNKED + b"2\n{}\r\n0\r\n\r\n", edge=(200,)),
    _refused("a last chunk that ends in line feeds", _CHUNKED + b"2\r\n{}\r\n0\n\n"),
    _refused("two other bytes for the last line", _CHUNKED + b"2\r\n{}\r\n0\r\nXX\r\n\r\n"),
    _refused("an extension of a megabyte", _CHUNKED + b"2;" + b"a" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n"),
    _refused("a byte in each chunk", _CHUNKED + b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n"),
    _refused("a trailer of a megabyte", _CHUNKED + b"0\r\n" + b"X: a\r\n" * 170_000 + b"\r\n"),
    _refused("an unknown expectation", _head(b"POST /healthz HTTP/1.1", b"Host: a", b"Expect: tea", b"Content-Length: 0"), 417),
)

READ: Final = (
    _read("a plain request", _PLAIN, 200),
    _read("an empty line before", b"\r\n" + _PLAIN, 200),
    _read("an empty Host", _head(b"GET /healthz HTTP/1.1", b"Host:"), 200),
    _read("a Host with a port", _head(b"GET /healthz HTTP/1.1", b"Host: a.example:80"), 200),
    _read("a Host that is an address", _head(b"GET /healthz HTTP/1.1", b"Host: [::1]:80"), 200),
    _read("a name in capitals", _head(b"GET /healthz HTTP/1.1", b"HOST: a"), 200),
    _read("tabs about a value", _head(b"GET /healthz HTTP/1.1", b"Host:\ta\t"), 200),
    _read("an empty value", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X:"), 200),
    _read("bytes above 127 in a value", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"X: \xd0\x90"), 200),
    _read("a full address", _head(b"GET http://b/healthz?x HTTP/1.1", b"Host: a"), 200),
    _read("an escape in the path", _head(b"GET /health%7A HTTP/1.1", b"Host: a"), 200),
    _read("leading zeros in a length", _POST + b"Content-Length: 0002\r\n\r\n{}" + _PLAIN, 405, 200),
    _read("chunked in capitals", _POST + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n" + _PLAIN, 405, 200),
    _read("an extension", _CHUNKED + b'2;a="b"\r\n{}\r\n0\r\n\r\n' + _PLAIN, 405, 200),
    _read("a trailer", _CHUNKED + b"2\r\n{}\r\n0\r\nX: a\r\n\r\n" + _PLAIN, 405, 200),
    _read("a trailer named as a field of the head", _CHUNKED + b"0\r\nHost: b\r\n\r\n" + _PLAIN, 405, 200),
    _read("a body of a GET", _GET + _HOST + b"Content-Length: 2\r\n\r\n{}" + _PLAIN, 200, 200),
    _read("a hundred at once", _PLAIN * 100, *[200] * 100),
    _read("HTTP/1.0", _head(b"GET /healthz HTTP/1.0"), 200, closes=True),
    _read("HTTP/1.0 that is kept", _head(b"GET /healthz HTTP/1.0", b"Connection: keep-alive") + _PLAIN, 200, 200),
    _read("one more after the last", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"Connection: close") + _PLAIN, 200, closes=True),
    _read("an upgrade", _head(b"GET /healthz HTTP/1.1", b"Host: a", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA") + _PLAIN, 200, 200),
    _read("an upgrade with a body", _POST + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}" + _PLAIN, 405, 200),
    _read("an upgrade with chunks", _POST + b"Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + _PLAIN, 405, 200),
    Odd("nonsense after a request", _PLAIN + b"nonsense\r\n\r\n", (200, 400), closes=True),
    Odd("a broken chunk after a request", _PLAIN + _CHUNKED + b"zz\r\n", (200, 400), closes=True),
)
