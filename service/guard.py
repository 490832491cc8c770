"""Which requests may pass: the check of the API key."""

from typing import TYPE_CHECKING

from flask import Blueprint, request

from service.addresses import is_forwarded_from_elsewhere
from service.auth import NOT_THE_EXAMPLE, KeyRing
from service.errors import Refused
from service.record import record_of
from service.settings import EXAMPLE_KEY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_CHALLENGE = {"WWW-Authenticate": 'ApiKey header="x-api-key"'}
_LATER = {"Retry-After": "3"}


def admit(environ: "WSGIEnvironment", keys: KeyRing) -> None:
    """Let a request pass and note whose it is. Raises Refused without a known `x-api-key`.

    The example key is everybody's: it is good for requests that begin on this machine only. Where
    a proxy tells the client's address, who tries many keys is refused with 429.
    """
    key = environ.get("HTTP_X_API_KEY", "")
    name = keys.name_of(key)
    client = environ.get("HTTP_X_FORWARDED_FOR", "")
    if client and key and keys.guesses.refuses(client.rpartition(",")[2].strip(), name):
        raise Refused(429, "too many wrong keys came from this address", _LATER)
    if name is None:
        raise Refused(401, "the x-api-key header is missing or wrong", _CHALLENGE)
    if key == EXAMPLE_KEY and is_forwarded_from_elsewhere(environ):
        raise Refused(401, NOT_THE_EXAMPLE, _CHALLENGE)
    record_of(environ).key_name = name


def require_key(blueprint: Blueprint, keys: KeyRing) -> None:
    """Let only requests with a known key reach the routes of this blueprint."""
    blueprint.before_request(lambda: admit(request.environ, keys))
