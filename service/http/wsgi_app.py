"""The Flask app that every kind of server has: errors in the envelope, a record of each request."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from flask import Flask

from service.http import errors
from service.http.middleware import RequestMiddleware
from service.telemetry.record import Record

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _Flask(Flask):
    def wsgi_app(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface, within the middleware."""
        if environ["PATH_INFO"].startswith("//"):  # Flask would drop all slashes but one
            return errors.nowhere()(environ, start)
        return super().wsgi_app(environ, start)

    def log_exception(self, exc_info: object) -> None:
        """Log nothing: `failures` logs without the exception's text, which Flask would log."""


def new_app() -> Flask:
    """An app without routes, whose errors are replies in the envelope."""
    app = _Flask("service", static_folder=None)
    errors.register(app)
    return app


def surround(
    app: Flask, observe: Callable[[Sequence[Record]], None], version: Callable[[], str]
) -> None:
    """Give each request of an app that has all its routes a record, which `observe` gets.

    `version` is that of the model that serves, empty where none does.
    """
    rules = (rule.rule for rule in app.url_map.iter_rules() if not rule.arguments)
    routes = frozenset(rule.rstrip("/") or "/" for rule in rules)
    middleware = RequestMiddleware(app.wsgi_app, observe, version, routes)
    app.wsgi_app = middleware  # type: ignore[method-assign, assignment]
