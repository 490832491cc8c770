"""One request to an address that somebody has named: no redirect, no proxy, and an end in time."""

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from threading import Timer
from typing import Final, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

from service.outbound.addresses import resolve
from service.outbound.connection import Pinned

T = TypeVar("T")

_LONGEST_URL: Final = 2048
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Unreachable(Exception):
    """There was no reply in time, or none at all. The text is for the log."""


def check(url: str, allowed: Collection[str]) -> SplitResult:
    """The parts of a URL that requests may go to. Raises ValueError with the reason.

    It must be https on port 443, and without user and fragment; hosts in `allowed` may be reached
    by http and on any port. The reason does not repeat the URL.
    """
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(
            f"a URL has at most {_LONGEST_URL} characters, all of them printable ASCII"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("its port or its host can't be read") from None
    if not parts.hostname:
        raise ValueError("its form is https://host/path")
    if parts.username is not None or parts.fragment:
        raise ValueError("it has a user or a fragment")
    if parts.hostname in allowed:
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("it must begin with https:// or http://")
    elif parts.scheme != "https" or port not in {None, 443}:
        raise ValueError("it must begin with https://, and have no port but 443")
    return parts


class Target(NamedTuple):
    """Where a request goes: the parts of a checked URL, and an address of its host."""

    parts: SplitResult
    address: str


class Message(NamedTuple):
    """What is sent there."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None = None


def judged(parts: SplitResult, private: Collection[str]) -> Target:
    """The target of a checked URL: its host is resolved once. Raises NotAllowed.

    The connection goes to what was judged: a name that resolves to another address a moment later
    gains nothing. `private` hosts may have private addresses.
    """
    host = parts.hostname or ""
    return Target(parts, resolve(host, _port(parts), private=host in private)[0])


def post(
    url: str, body: bytes, headers: Mapping[str, str], seconds: float, allowed: Collection[str]
) -> int:
    """The status of the reply to a POST. Raises Unreachable, NotAllowed or ValueError.

    `allowed` hosts may have private addresses.
    """
    target = judged(check(url, allowed), allowed)
    return exchange(target, Message("POST", headers, body), seconds, lambda reply: reply.status)


def exchange(
    target: Target, message: Message, seconds: float, read: Callable[[HTTPResponse], T]
) -> T:
    """What `read` makes of the reply to a message.

    Raises Unreachable or NotAllowed, and what `read` raises.
    """
    parts, address = target
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secure = parts.scheme == "https"
    with closing(Pinned(parts.hostname or "", _port(parts), address, tls=secure)) as connection:
        # A limit for all of it: those of single reads would let a reply drip for ever.
        limit = Timer(seconds, connection.abort)
        limit.start()
        try:
            headers = {"Connection": "close", **message.headers}
            connection.request(message.method, path, message.body, headers)
            with closing(connection.getresponse()) as reply:
                made = read(reply)
        except (OSError, HTTPException) as error:
            raise Unreachable(type(error).__name__) from None
        finally:
            limit.cancel()
        if connection.is_aborted:  # what came until then would do for a reply
            raise Unreachable("TimeoutError")
        return made


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]
