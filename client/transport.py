"""One HTTP request at a time: a reply as it came, or why there is none."""

import json
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

Body = bytes | Iterable[bytes] | None

_PIECE: Final = 1 << 18
_UNKNOWN: Final = "the reply is none of this service"


class Unreachable(Exception):
    """Nothing answers at the address, or the connection broke off."""


class Refused(Exception):
    """A reply that is no success: its status, the reason in words, when to try again.

    `retry_after` are seconds, 0 where the reply names none.
    """

    def __init__(self, status: int, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in {429, 502, 503, 504}


class Transport:
    """Sends requests to one address, each on a connection of its own."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        """`timeout` are the seconds between two pieces of a reply. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address must begin with http:// or https:// and a host")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._key = key
        self._timeout = timeout

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        length: int | None = None,
    ) -> Iterator[HTTPResponse]:
        """Give the reply to a request, whose body is not read yet; 304 is a good one.

        `length` is that of a body that comes in pieces. Raises Refused or Unreachable.
        """
        connection = self._connection()
        named = {"x-api-key": self._key, **(headers or {})}
        if length is not None:
            named["Content-Length"] = str(length)
        try:
            with suppress(BrokenPipeError):  # refused before all was sent: the reply says why
                connection.request(method, f"{self._base}{path}", body, named)
            response = connection.getresponse()
            if response.status >= 400:
                raise _refusal(response)
            yield response
        except (OSError, HTTPException) as error:
            raise Unreachable(f"{self._host}: {_reason(error)}") from error
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        return HTTPConnection(self._host, self._port, timeout=self._timeout)


def body_of(response: HTTPResponse) -> Any:
    """What the envelope of a reply holds. Raises Refused where there is none."""
    try:
        return json.loads(response.read())["body"]
    except (ValueError, KeyError, TypeError):
        raise Refused(response.status, _UNKNOWN) from None


def pieces_of(file: BinaryIO, note: Callable[[int], object]) -> Iterator[bytes]:
    """The content of a file, a piece at a time; `note` gets the length of each."""
    while piece := file.read(_PIECE):
        note(len(piece))
        yield piece


def _refusal(response: HTTPResponse) -> Refused:
    try:
        reason = str(json.loads(response.read())["body"])
    except (ValueError, KeyError, TypeError):
        reason = response.reason or _UNKNOWN
    stated = response.headers.get("Retry-After", "")
    return Refused(response.status, reason, float(stated) if stated.isdigit() else 0.0)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or "the connection broke off"
