"""The door around the Flask app: what every request gets and every reply carries.

A WSGI wrapper rather than Flask hooks: it also covers replies that no view made, its
`finally` runs whatever a hook does, and it costs a fifth of the hooks' calls.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from service.metrics import Metrics
from service.privacy import may_be_plate
from service.record import ENVIRON_KEY, Record, method_of, route_of
from service.slots import Slot

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What may be echoed into a header and a log line.
_SENSIBLE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Door:
    """Gives each request its record, each reply its headers, and counts it."""

    def __init__(
        self,
        app: "WSGIApplication",
        slot: Slot,
        metrics: Metrics,
        is_secret: Callable[[str], bool],
    ) -> None:
        """`is_secret` tells whether a text that a client chose is or holds a key."""
        self._app = app
        self._is_secret = is_secret
        self._slot = slot
        self._http = metrics.http

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface."""
        began = perf_counter()
        record = environ[ENVIRON_KEY] = Record(self._request_id(environ))
        status_sent = "500"
        http = self._http
        http.in_flight += 1

        def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            nonlocal status_sent
            status_sent = status[:3]
            record.route = record.route or route_of(environ)
            if not record.model_version:
                record.model_version = self._slot.current.version
            headers.append(("X-Request-Id", record.request_id))
            headers.append(("X-Model-Version", record.model_version))
            return start(status, headers, *exc_info)

        try:
            return self._app(environ, start_response)
        finally:
            http.in_flight -= 1
            labels = (record.route, method_of(environ), status_sent, record.key_name)
            http.observe(labels, perf_counter() - began)

    def refused(self, environ: Mapping[str, str], status: str, key_name: str) -> tuple[str, str]:
        """Count a scoring request that was refused outside; its id and the model's version."""
        self._http.observe(("/reg", "POST", status, key_name), 0.0)
        return self._request_id(environ), self._slot.current.version

    def _request_id(self, environ: Mapping[str, str]) -> str:
        given: str = environ.get("HTTP_X_REQUEST_ID", "")
        if not _SENSIBLE_ID.fullmatch(given) or may_be_plate(given) or self._is_secret(given):
            return _new_id()
        key = environ.get("HTTP_X_API_KEY")
        return _new_id() if key and key in given else given


def _new_id() -> str:
    """128 random bits: unique, not secret. Each worker has its own sequence after the fork."""
    return f"{getrandbits(128):032x}"
