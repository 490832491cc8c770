"""Requests that were valid once, as bytes: a fixed sequence of 100,000 different ones is cheap.

Hypothesis finds and shrinks; here it is numbers that count, so this draws by itself.
"""

import json
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.support.live import head
from tests.support.paths import GOLDEN, lines

if TYPE_CHECKING:
    from collections.abc import Callable

_ROWS: Final[list[dict[str, Any]]] = [line["request"] for line in lines(GOLDEN)[:50]]
_VALUES: Final[list[Any]] = [
    *(None, True, [], {}, "", "\x00", "А" * 300, "1e999", -1, 0, 10**40, 1e308, 0.5, [[]], [None]),
    *({"a": {"b": []}}, ["x"] * 20, "[1, 2", "2021-13-45 99:99:99", "٣", "\ud800", "NaN"),
]
_PIECES: Final = (
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"}", b"[", b"]", b"\\", b"\\ud800", b","),
    *(b"NaN", b"1e999", b"-", b"null", b"\r\n", b"\n", b" ", b":", b"/*", b"\xef\xbb\xbf"),
)
_HEADERS: Final = (
    *("X-Request-Id: ", "X-Request-Timeout-Ms: ", "X-Request-Start: t=", "Content-Type: "),
    *("x-api-key: ", "Content-Length: ", "Transfer-Encoding: ", "Connection: ", "Expect: "),
    *("traceparent: ", "Content-Encoding: ", "Host: ", "Cookie: ", "Accept: ", "X: "),
)
_HEADER_VALUES: Final = (
    *("", "0", "-1", "1", "99999999999999999999", "chunked", "close", "keep-alive", "gzip"),
    *("100-continue", "text/plain", "application/json; charset=koi8-r", "1e9", "x" * 3000),
    *("А939НО196", "\x7f", "%00", "a,b", '"', "0x10", "1 2", "nan", "inf", "٣"),
)


class Mutants:
    """Draws mutated requests; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._kinds: list[Callable[[], bytes]] = [self._bytes, self._json, self._headers]

    def draw(self) -> bytes:
        """A whole request whose body, JSON or head is wrong; often, not always, to be refused."""
        return self._random.choice(self._kinds)()

    def _body(self) -> bytes:
        row: Any = self._random.choice(_ROWS)
        if self._random.random() < 0.2:
            row = [row, self._random.choice(_ROWS)]
        return json.dumps(row, ensure_ascii=self._random.random() < 0.5).encode()

    def _spoilt(self, text: bytes) -> bytes:
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randint(0, len(text))
            cut = self._random.choice((0, 1, 1, 5, len(text) // 3))
            put = self._random.choice((b"", self._random.randbytes(2), *_PIECES))
            text = text[:at] + put + text[at + cut :]
        return text

    def _bytes(self) -> bytes:
        body = self._spoilt(self._body())
        return head(len(body)) + body

    def _json(self) -> bytes:
        row = {**self._random.choice(_ROWS)}
        for _ in range(self._random.randint(1, 3)):
            name = self._random.choice(list(row) or ["a"])
            if self._random.random() < 0.2:
                row.pop(name, None)
            else:
                row[name] = self._random.choice(_VALUES)
        whole: Any = self._random.choice((row, row, row, [row, _ROWS[0]], [[row]], json.dumps(row)))
        body = json.dumps(whole).encode()
        return head(len(body)) + body

    def _headers(self) -> bytes:
        body = self._body()
        if self._random.random() < 0.3:
            return self._spoilt(head(len(body))) + body
        header = self._random.choice(_HEADERS) + self._random.choice(_HEADER_VALUES)
        raw = head(len(body), "X-Last: 1")
        return raw.replace(b"X-Last: 1", header.encode()) + body
