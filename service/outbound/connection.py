"""A connection to an address that was resolved and judged before: no proxy, and an end in time."""

import ssl
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection
from ipaddress import ip_address
from socket import SHUT_RDWR, create_connection, socket
from typing import Final

from service.outbound.addresses import NotAllowed

_CONNECT_SECONDS: Final = 5.0


class Pinned(HTTPConnection):
    """A connection to an address that was resolved before."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool) -> None:
        super().__init__(host, port)
        self._address = address
        self._tls = tls
        self._open: socket | None = None
        self.is_aborted = False

    def connect(self) -> None:
        """Connect, and check who answers there."""
        self._open = self.sock = create_connection((self._address, self.port), _CONNECT_SECONDS)
        peer = self._open.getpeername()[0]
        if ip_address(peer) != ip_address(self._address):
            raise NotAllowed("the connection goes to another address")
        if self._tls:
            self._open = self.sock = _tls().wrap_socket(self._open, server_hostname=self.host)
        self.sock.settimeout(None)  # the limit for all of it holds from here
        if self.is_aborted:  # before there was a socket to end
            raise TimeoutError

    def abort(self) -> None:
        """End what is under way, from another thread."""
        self.is_aborted = True
        if self._open is not None:  # `sock` is None while the body of a last reply is read
            with suppress(OSError):
                self._open.shutdown(SHUT_RDWR)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
