"""Which requests may pass: the check of the API key."""

from typing import Final

from flask import Blueprint, request

from service.auth import KeyRing
from service.errors import Refused
from service.record import Record, record_of

_CHALLENGE: Final = {"WWW-Authenticate": 'ApiKey header="x-api-key"'}


def admit(key: bytes, keys: KeyRing, record: Record) -> None:
    """Let a request pass and note whose it is. Raises Refused without a known key."""
    name = keys.name_of(key)
    if name is None:
        raise Refused(401, "the x-api-key header is missing or wrong", _CHALLENGE)
    record.key_name = name


def require_key(blueprint: Blueprint, keys: KeyRing) -> None:
    """Let only requests with a known `x-api-key` reach the routes of this blueprint."""

    def check() -> None:
        environ = request.environ
        key = environ.get("HTTP_X_API_KEY", "").encode("latin-1", "replace")
        admit(key, keys, record_of(environ))

    blueprint.before_request(check)
