"""`/` for callers and browsers, sessions, models, and the files of the pages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, request, send_from_directory

from service.config.settings import Settings
from service.http import reply
from service.http.authentication import Guard
from service.web import pages
from service.web.live_versions import live_versions
from service.web.sessions import Sessions

HOME: Final = "/home"
_STATIC: Final = Path(__file__).parents[1] / "static"
_HOUR: Final = 3600


def root(guard: Guard) -> Blueprint:
    """`/`: the caller's check that address and key are right; a browser is sent to the page."""
    routes = Blueprint("root", __name__)

    @routes.before_request
    def to_page() -> Response | None:
        wants_page = "text/html" in request.headers.get("Accept", "")
        if not wants_page or "x-api-key" in request.headers:
            return None
        return Response(status=303, headers={"Location": HOME})

    guard.protect(routes)
    routes.add_url_rule("/", "home", lambda: reply.ok("ok"), methods=["GET"])
    return routes


def entry(sessions: Sessions) -> Blueprint:
    """What can be reached without a session: signing in and out, style and script."""
    routes = pages.blueprint("entry")

    @routes.post(f"{HOME}/sign-in")
    def sign_in() -> Response:
        return sessions.sign_in(pages.form_fields().get("key", ""))

    @routes.post(f"{HOME}/sign-out")
    def sign_out() -> Response:
        return sessions.sign_out()

    @routes.get("/static/<name>")
    def static(name: str) -> Response:
        return send_from_directory(_STATIC, name, max_age=_HOUR)

    return routes


def models(settings: Settings, sessions: Sessions, pictures: Mapping[str, str]) -> Blueprint:
    """`/home/models`: what is live, its metrics, and links.

    `pictures` are the models of pictures that can be asked here, with their addresses.
    """
    routes = pages.blueprint("models")
    sessions.protect(routes)

    @routes.get(f"{HOME}/models")
    def show() -> Response:
        versions = live_versions(settings, pictures)
        return pages.page("models.html", versions=versions, dashboards=settings.web_dashboards)

    return routes
