"""One POST to an address that somebody has named: no redirect, no proxy, and an end in time."""

import ssl
from collections.abc import Collection, Mapping
from contextlib import closing, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from socket import SHUT_RDWR, create_connection, socket
from threading import Timer
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from service.outbound.addresses import NotAllowed, resolve

_LONGEST_URL: Final = 2048
_CONNECT_SECONDS: Final = 5.0
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


def post(
    url: str, body: bytes, headers: Mapping[str, str], seconds: float, allowed: Collection[str]
) -> int:
    """The status of the reply to a POST. Raises Unreachable, NotAllowed or ValueError.

    The host is resolved once, and the connection goes to what was judged: a name that resolves to
    another address a moment later gains nothing. `allowed` hosts may have private addresses.
    """
    parts = check(url, allowed)
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    addresses = resolve(host, port, private=host in allowed)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with closing(_Pinned(host, port, addresses[0], tls=parts.scheme == "https")) as connection:
        # A limit for all of it: those of single reads would let a reply drip for ever.
        limit = Timer(seconds, connection.abort)
        limit.start()
        try:
            connection.request("POST", target, body, {"Connection": "close", **headers})
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise Unreachable(type(error).__name__) from None
        finally:
            limit.cancel()
        if connection.is_aborted:  # what came of the head would do for a reply
            raise Unreachable("TimeoutError")
        return status


class _Pinned(HTTPConnection):
    """A connection to an address that was resolved before."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool) -> None:
        super().__init__(host, port)
        self._address = address
        self._tls = tls
        self._raw: socket | None = None
        self.is_aborted = False

    def connect(self) -> None:
        """Connect, and check who answers there."""
        self._raw = self.sock = create_connection((self._address, self.port), _CONNECT_SECONDS)
        peer = self._raw.getpeername()[0]
        if ip_address(peer) != ip_address(self._address):
            raise NotAllowed("the connection goes to another address")
        if self._tls:
            self.sock = _tls().wrap_socket(self._raw, server_hostname=self.host)
        self.sock.settimeout(None)  # the limit for all of it holds from here
        if self.is_aborted:  # before there was a socket to end
            raise TimeoutError

    def abort(self) -> None:
        """End what is under way, from another thread."""
        self.is_aborted = True
        at: Any = self.sock or self._raw
        if at is not None:
            with suppress(OSError):
                at.shutdown(SHUT_RDWR)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
