"""The check of the API key of each request."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from service.config.addresses import FORWARDED, ORIGIN_HEADERS, is_forwarded_from_elsewhere
from service.config.settings import EXAMPLE_KEY
from service.http.api_keys import NOT_THE_EXAMPLE, ApiKeys
from service.http.errors import Refused
from service.http.request_ids import RequestIds
from service.telemetry.record import Record, record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_EXAMPLE: Final = EXAMPLE_KEY.encode()
_CHALLENGE: Final = {"WWW-Authenticate": 'ApiKey header="x-api-key"'}
_LATER: Final = {"Retry-After": "3"}
# The headers that identify caller, client and request, by their names in WSGI.
_IDENTIFYING: Final = {
    f"HTTP_{name.decode().upper().replace('-', '_')}": name
    for name in (b"x-api-key", b"x-request-id", *ORIGIN_HEADERS)
}


class Guard:
    """Admits requests with a known key."""

    def __init__(self, keys: ApiKeys, ids: RequestIds) -> None:
        self._keys = keys
        self._ids = ids

    def admit(self, headers: Mapping[bytes, bytes], record: Record) -> None:
        """Admit a request and note its caller. Raises Refused without a known `x-api-key`.

        The example key is public: it is valid for requests that begin on this machine only. Where
        a proxy names the client's address, an address that tries many keys gets 429.
        """
        key = headers.get(b"x-api-key", b"")
        name = self._keys.name_of(key)
        clients = headers.get(b"x-forwarded-for")
        if clients and key and self._keys.guesses.refuses(_last(clients), name):
            raise Refused(429, "too many wrong keys came from this address", _LATER)
        if name is None:
            raise Refused(401, "the x-api-key header is missing or wrong", _CHALLENGE)
        if key == _EXAMPLE and is_forwarded_from_elsewhere(headers):
            raise Refused(401, NOT_THE_EXAMPLE, _CHALLENGE)
        record.key_name = name
        given = headers.get(b"x-request-id")
        if given is not None:
            self._ids.take(record, given.decode("latin-1"), key.decode("latin-1"))

    def protect(self, blueprint: Blueprint) -> None:
        """Let only requests with a known `x-api-key` reach the routes of this blueprint."""
        blueprint.before_request(
            lambda: self.admit(identifying_headers(request.environ), record_of(request.environ))
        )


def _last(clients: bytes) -> str:
    """The address that the nearest proxy added: the client may have made up the others."""
    return clients.rpartition(b",")[2].strip().decode("latin-1")


def identifying_headers(environ: "WSGIEnvironment") -> dict[bytes, bytes]:
    """The headers of a WSGI request that `Guard.admit` reads."""
    return {
        _IDENTIFYING.get(variable, FORWARDED): value.encode("latin-1")
        for variable, value in environ.items()
        if variable in _IDENTIFYING or variable.startswith("HTTP_X_FORWARDED")
    }
