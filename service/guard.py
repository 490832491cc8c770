"""Which requests may pass: the check of the API key, for the blueprints that ask for it."""

from collections.abc import Callable

from flask import Blueprint, request

from service.auth import KeyRing
from service.errors import Refused
from service.record import record_of

_CHALLENGE = {"WWW-Authenticate": 'ApiKey header="x-api-key"'}


def require_key(blueprint: Blueprint, keys: KeyRing) -> None:
    """Let only requests with a known `x-api-key` reach the routes of this blueprint."""
    blueprint.before_request(_check(keys))


def _check(keys: KeyRing) -> Callable[[], None]:
    def check() -> None:
        environ = request.environ
        name = keys.name_of(environ.get("HTTP_X_API_KEY", ""))
        if name is None:
            raise Refused(401, "the x-api-key header is missing or wrong", _CHALLENGE)
        record_of(environ).key_name = name

    return check
