"""Which requests may pass: the check of the API key."""

from typing import TYPE_CHECKING

from flask import Blueprint, request

from service.auth import KeyRing
from service.errors import Refused
from service.record import record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_CHALLENGE = {"WWW-Authenticate": 'ApiKey header="x-api-key"'}


def admit(environ: "WSGIEnvironment", keys: KeyRing) -> None:
    """Let a request pass and note whose it is. Raises Refused without a known `x-api-key`."""
    name = keys.name_of(environ.get("HTTP_X_API_KEY", ""))
    if name is None:
        raise Refused(401, "the x-api-key header is missing or wrong", _CHALLENGE)
    record_of(environ).key_name = name


def require_key(blueprint: Blueprint, keys: KeyRing) -> None:
    """Let only requests with a known key reach the routes of this blueprint."""
    blueprint.before_request(lambda: admit(request.environ, keys))
