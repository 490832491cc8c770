"""The Flask apps, wired in reading order from parts that are given."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask

from model import catalog
from service.config.settings import Settings
from service.http import errors
from service.http.api_keys import LEAST_SEARCHED, ApiKeys
from service.http.authentication import Guard
from service.http.middleware import RequestMiddleware
from service.http.request_ids import RequestIds
from service.overload.admission import Admission
from service.rollout.rollout_state import RolloutState
from service.rollout.startup import Served
from service.routes import docs, explain, health, models, post_route, score
from service.routes import metrics as metrics_page
from service.runtime.scoreboard import Scoreboard
from service.scoring.live import Slot
from service.scoring.service import ScoringService
from service.server.iteration import yield_to_io
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Parts(NamedTuple):
    """What a server is made of before the first fork.

    `slot` and `rollout_state` are those of the default model, `others` are the catalog's others.
    """

    settings: Settings
    keys: ApiKeys
    metrics: Metrics
    admission: Admission
    slot: Slot
    scoreboard: Scoreboard
    rollout_state: RolloutState
    others: tuple[Served, ...] = ()

    @property
    def served(self) -> tuple[Served, ...]:
        """All models that are served, the default one first."""
        default = catalog.entry(catalog.DEFAULT).load()
        return (Served(default, self.slot, self.rollout_state), *self.others)

    @property
    def holds_secret(self) -> Callable[[str], bool]:
        """Whether a text that a client chose is or holds a caller's key or the metrics' token.

        Secrets below LEAST_SEARCHED characters are found as whole texts only.
        """
        keys, token = self.keys, self.settings.metrics_token
        if len(token) >= LEAST_SEARCHED:
            return lambda text: keys.is_in(text) or token in text
        return lambda text: keys.is_in(text) or (bool(token) and text == token)

    @property
    def guard(self) -> Guard:
        """What lets requests pass."""
        return Guard(self.keys, RequestIds(self.holds_secret))


class App(NamedTuple):
    """The app, and the routes that the server calls past Flask."""

    flask: Flask
    scoring: tuple[score.ScoreRoute, ...]
    explaining: tuple[explain.ExplainRoute, ...]


def scoring_service(served: Served, parts: Parts) -> ScoringService:
    """The scoring core of one model; slices of arrays let the loop serve others in between."""
    shared = parts.settings, parts.metrics, parts.admission
    return ScoringService(served.model, served.slot, *shared, yield_to_io)


def create_app(parts: Parts) -> App:
    """The app at the public address. Builds nothing that lives longer than itself."""
    settings, metrics = parts.settings, parts.metrics
    app = _flask()
    app.url_map.merge_slashes = False  # /reg// is no address, not a redirect that loses a body
    guard = parts.guard
    scoring = tuple(
        score.ScoreRoute(served.model, scoring_service(served, parts), settings)
        for served in parts.served
    )
    operating = models.ModelRoute(settings, parts.served, parts.scoreboard, parts.holds_secret)
    app.register_blueprint(models.blueprint(operating, guard, settings.admin_names))
    explaining = tuple(
        explain.ExplainRoute(served.model, served.slot, settings, metrics, parts.admission)
        for served in parts.served
        if served.model.explanation
    )
    posted: tuple[post_route.PostRoute, ...] = (*scoring, *explaining)
    for route in posted:
        app.register_blueprint(post_route.blueprint(route, guard))
    app.register_blueprint(health.home(guard))
    app.register_blueprint(health.probes(parts.slot, parts.scoreboard))
    app.register_blueprint(docs.blueprint(settings, [served.model for served in parts.others]))
    if settings.metrics_token and not settings.metrics_bind:
        metrics_page.serve(app, metrics.registry, settings.metrics_token)
    _surround(app, parts)
    return App(app, scoring, explaining)


def create_metrics_app(parts: Parts) -> Flask:
    """What is served at the address of the metrics: their page and the probes, nothing else."""
    app = _flask()
    app.register_blueprint(health.probes(parts.slot, parts.scoreboard))
    metrics_page.serve(app, parts.metrics.registry, parts.settings.metrics_token)
    _surround(app, parts)
    return app


class _Flask(Flask):
    def wsgi_app(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface, within the middleware."""
        if environ["PATH_INFO"].startswith("//"):  # Flask would drop all slashes but one
            return errors.nowhere()(environ, start)
        return super().wsgi_app(environ, start)

    def log_exception(self, exc_info: object) -> None:
        """Log nothing: `failures` logs without the exception's text, which Flask would log."""


def _flask() -> Flask:
    app = _Flask(__name__, static_folder=None)
    errors.register(app)
    return app


def _surround(app: Flask, parts: Parts) -> None:
    version = lambda: parts.slot.current.version  # noqa: E731
    rules = (rule.rule for rule in app.url_map.iter_rules() if not rule.arguments)
    routes = frozenset(rule.rstrip("/") or "/" for rule in rules)
    middleware = RequestMiddleware(app.wsgi_app, parts.metrics, version, routes)
    app.wsgi_app = middleware  # type: ignore[method-assign, assignment]
