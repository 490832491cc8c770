"""Sessions of people in a browser: a signed cookie stands for the key that they signed in with.

The cookie is signed with the SHA-256 digest of that key, so it needs no secret of its own, is good
at every web process that has the key, and ends when the key is withdrawn. It does not hold the key.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, request
from itsdangerous import BadData, TimestampSigner

from service.config.addresses import is_forwarded_from_elsewhere
from service.http.api_keys import EXAMPLE_DIGEST, ApiKeys
from service.http.authentication import Guard, identifying_headers
from service.http.errors import Refused
from service.telemetry.record import record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

COOKIE: Final = "session"
# A working day. A session is stateless: a copied cookie is good until then.
SECONDS: Final = 12 * 3600
OVER: Final = "the session is over: sign in again"
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
# What a browser says of a request that a page of this very address made, or its user directly.
_OWN: Final = frozenset(("same-origin", "none"))
_LONGEST_KEY: Final = 4096


class Sessions:
    """Admits requests with a known key, or of a session that was made from one."""

    def __init__(self, guard: Guard, keys: ApiKeys) -> None:
        self._guard = guard
        self._keys = keys

    def protect(self, blueprint: Blueprint) -> None:
        """Let only admitted requests reach the routes of this blueprint."""
        blueprint.before_request(self.admit)

    def admit(self) -> None:
        """Admit the current request and note its caller. Raises Refused."""
        environ = request.environ
        token = "" if "HTTP_X_API_KEY" in environ else request.cookies.get(COOKIE, "")
        if not token:
            self._guard.admit(identifying_headers(environ), record_of(environ))
            return
        name = self._name_of(token, environ)
        if not name:
            raise Refused(401, OVER)
        # Cookies of one host go to all its ports: a page of another port must change nothing.
        if request.method not in _SAFE and not is_own(environ):
            raise Refused(403, "the request was made by a page of another address")
        record_of(environ).key_name = name

    def sign_in(self, key: str) -> Response:
        """A redirect to the page with a new session. Raises Refused for a key that is not known."""
        environ = request.environ
        if not is_own(environ):
            raise Refused(403, "the request was made by a page of another address")
        given = key.strip()[:_LONGEST_KEY].encode()
        headers = {**identifying_headers(environ), b"x-api-key": given}
        record = record_of(environ)
        try:
            self._guard.admit(headers, record)
        except Refused as refused:
            if refused.status != 401:
                raise
            raise Refused(401, "this key is not known, or not good from where you are") from None
        token = _signer(sha256(given).digest()).sign(record.key_name).decode()
        return self._to_page(token, SECONDS)

    def sign_out(self) -> Response:
        """A redirect to the page without a session. Raises Refused."""
        if not is_own(request.environ):
            raise Refused(403, "the request was made by a page of another address")
        return self._to_page("", 0)

    @staticmethod
    def _to_page(token: str, seconds: int) -> Response:
        response = Response(status=303, headers={"Location": "/home"})
        response.set_cookie(
            COOKIE,
            token,
            max_age=seconds,
            httponly=True,
            samesite="Strict",
            secure=request.is_secure or request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    def _name_of(self, token: str, environ: "WSGIEnvironment") -> str:
        """The name of the key that a token was made from, "" for a token that is not good."""
        name = token.rsplit(".", 2)[0]
        for digest in self._keys.digests_of(name):
            try:
                _signer(digest).unsign(token, max_age=SECONDS)
            except BadData:
                continue
            is_example = digest == EXAMPLE_DIGEST
            if is_example and is_forwarded_from_elsewhere(identifying_headers(environ)):
                return ""
            return name
        return ""


def is_own(environ: "WSGIEnvironment") -> bool:
    """Whether a request is none that a page of another address made, as its browser says."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site in _OWN
    # Over plain HTTP browsers state the origin alone, unless the address is this machine's own.
    origin = environ.get("HTTP_ORIGIN")
    return origin is None or origin.partition("://")[2] == environ.get("HTTP_HOST")


def _signer(digest: bytes) -> TimestampSigner:
    return TimestampSigner(
        digest, salt="plate-scoring session", key_derivation="hmac", digest_method=sha256
    )
