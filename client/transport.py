"""Requests over HTTP: a reply as it came, or why there is none. Connections are used again."""

import json
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import urlsplit

Body = bytes | Iterable[bytes] | None

PIECE: Final = 1 << 18
UNKNOWN: Final = "the reply is not from this service"


class Unreachable(Exception):
    """Nothing answers at the address, or the connection broke off."""


class Refused(Exception):
    """A reply that is not a success: its status, the reason in words, when to try again.

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


class Address(NamedTuple):
    """Where requests go: host, port, the path before theirs, and whether by TLS."""

    host: str
    port: int
    base: str
    secure: bool


def address_of(url: str) -> Address:
    """The address of a URL. Raises ValueError."""
    if not url.isprintable() or " " in url:
        raise ValueError("the address has a blank or a control character")
    try:
        parts = urlsplit(url)
        stated = parts.port
    except ValueError:
        raise ValueError("the address has a host or a port that can't be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the address must begin with http:// or https:// and a host")
    secure = parts.scheme == "https"
    port = stated or (443 if secure else 80)
    return Address(parts.hostname, port, parts.path.rstrip("/"), secure)


class Transport:
    """Sends requests to one address. Threads may share it: each request has a connection alone."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        """`timeout` are the seconds between two pieces of a reply.

        Raises ValueError, whose text holds neither key nor address.
        """
        self._host, self._port, self._base, self._secure = address_of(url)
        if not (key.isascii() and key.isprintable()):
            raise ValueError("the key has characters that are not printable ASCII")
        self._key = key
        self._timeout = timeout
        self._idle: deque[HTTPConnection] = deque()

    @contextmanager
    def request(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        length: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Iterator[HTTPResponse]:
        """Give the reply to a request, whose body is not read yet; 304 is a good one.

        `length` is that of a body that comes in pieces; `timeout` is in place of the transport's.
        Raises Refused or Unreachable.
        """
        named = {"x-api-key": self._key, **(headers or {})}
        if length is not None:
            named["Content-Length"] = str(length)
        seconds = self._timeout if timeout is None else timeout
        connection = None
        try:
            sent = method, f"{self._base}{path}", body, named
            connection, response = self._response(sent, seconds)
            if response.status >= 400:
                raise refusal_of(
                    response.status, response.reason, response.headers, response.read()
                )
            yield response
            if response.isclosed() and not response.will_close:
                self._idle.append(connection)
                connection = None
        except (OSError, HTTPException) as error:
            raise Unreachable(f"{self._host}: {_reason(error)}") from error
        finally:
            if connection is not None:
                connection.close()

    def close(self) -> None:
        """Close the connections that no request has."""
        while self._idle:
            self._idle.pop().close()

    def __del__(self) -> None:
        """Close them for a caller who did not."""
        if hasattr(self, "_idle"):
            self.close()

    def _response(
        self, sent: tuple[str, str, Body, Mapping[str, str]], seconds: float
    ) -> tuple[HTTPConnection, HTTPResponse]:
        """A connection, and the head of the reply that comes over it.

        The service may have ended a connection that was idle: then a new one is used. A body in
        pieces, which can't be sent twice, has a new one at once.
        """
        idle = self._taken() if sent[2] is None or isinstance(sent[2], bytes) else None
        if idle is not None:
            try:
                return idle, _asked(idle, sent, seconds)
            except ConnectionError:
                idle.close()
            except BaseException:
                idle.close()
                raise
        new = self._connection(seconds)
        try:
            return new, _asked(new, sent, seconds)
        except BaseException:
            new.close()
            raise

    def _taken(self) -> HTTPConnection | None:
        """A connection that is idle, if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connection(self, seconds: float) -> HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
        return HTTPConnection(self._host, self._port, timeout=seconds)


def _asked(
    connection: HTTPConnection, sent: tuple[str, str, Body, Mapping[str, str]], seconds: float
) -> HTTPResponse:
    """The head of the reply to a request."""
    if connection.sock is not None:
        connection.sock.settimeout(seconds)
    with suppress(BrokenPipeError):  # refused before all was sent: the reply says why
        connection.request(*sent)
    return connection.getresponse()


def pieces_of(file: BinaryIO, note: Callable[[int], object]) -> Iterator[bytes]:
    """The content of a file, a piece at a time; `note` gets the length of each."""
    while piece := file.read(PIECE):
        note(len(piece))
        yield piece


def refusal_of(status: int, phrase: str, headers: Message, text: bytes) -> Refused:
    """The refusal that a reply is."""
    try:
        said = json.loads(text)
        reason = str(said["error"] if "error" in said else said["body"])
    except (ValueError, KeyError, TypeError):
        reason = phrase or UNKNOWN
    stated = headers.get("Retry-After", "")
    return Refused(status, reason, float(stated) if stated.isascii() and stated.isdigit() else 0.0)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or "the connection broke off"
