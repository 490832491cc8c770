"""Record and headers of each request, for an app under any other WSGI server.

The server of the scoring processes does all that itself before and after it calls the app.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from service.http.request_ids import new_id
from service.telemetry.record import ENVIRON_KEY, Record, method_of, route_of

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers: TypeAlias = list[tuple[str, str]]
# What WSGI has for writing in pieces.
Written: TypeAlias = Callable[[bytes], object]


class RequestMiddleware:
    """Creates each request's record, adds the reply's headers, and hands the record on."""

    def __init__(
        self,
        app: "WSGIApplication",
        observe: Callable[[Sequence[Record]], None],
        version: Callable[[], str],
        routes: Collection[str],
    ) -> None:
        """`observe` gets the record of an answered request.

        `version` is that of the model that serves, empty where none does; `routes` are as in
        `route_of`.
        """
        self._app = app
        self._observe = observe
        self._version = version
        self._routes = routes

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface."""
        if ENVIRON_KEY in environ:
            return self._app(environ, self._noting_route(environ, start))
        began = perf_counter()
        record = environ[ENVIRON_KEY] = Record(new_id(), method_of(environ["REQUEST_METHOD"]))
        record.status = 500

        def start_response(
            status: str, headers: Headers, exc_info: "OptExcInfo | None" = None, /
        ) -> Written:
            record.status = int(status[:3])
            headers.append(("X-Request-Id", record.replied_id))
            if version := record.model_version or self._version():
                headers.append(("X-Model-Version", version))
            return start(status, headers, exc_info)

        try:
            return self._app(environ, self._noting_route(environ, start_response))
        finally:
            record.seconds = perf_counter() - began
            self._observe([record])

    def _noting_route(self, environ: "WSGIEnvironment", start: "StartResponse") -> "StartResponse":
        record: Record = environ[ENVIRON_KEY]

        def start_response(
            status: str, headers: Headers, exc_info: "OptExcInfo | None" = None, /
        ) -> Written:
            record.route = record.route or route_of(environ, self._routes)
            return start(status, headers, exc_info)

        return start_response
