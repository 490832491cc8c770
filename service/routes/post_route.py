"""The blueprint of a route that takes POST at both spellings of its address."""

from typing import TYPE_CHECKING, Protocol

from flask import Blueprint, request

from service.http.authentication import Guard
from service.http.reply import Reply

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class PostRoute(Protocol):
    """Answers POST; `paths` are its address with and without the slash at its end."""

    name: str
    paths: tuple[str, str]

    def post(self, environ: "WSGIEnvironment") -> Reply:
        """Read, answer, reply. Raises what the table of errors knows."""


def blueprint(route: PostRoute, guard: Guard) -> Blueprint:
    """Both addresses, for callers with a key: a redirect from one to the other loses the body.

    Two rules, since one with `strict_slashes=False` answers GET without the slash with 404, not
    405.
    """
    routes = Blueprint(route.name, __name__)
    guard.protect(routes)
    for number, path in enumerate(route.paths):
        routes.add_url_rule(
            path, f"post{number}", lambda: route.post(request.environ), methods=["POST"]
        )
    return routes
