"""The Flask apps, wired in reading order from parts that are given."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Flask

from model import catalog
from service.config.settings import Settings
from service.http.api_keys import ApiKeys
from service.http.authentication import Guard
from service.http.request_ids import RequestIds
from service.http.wsgi_app import new_app, surround
from service.overload.admission import Admission
from service.rollout.rollout_state import RolloutState
from service.rollout.startup import Served
from service.routes import (
    docs,
    explain,
    health,
    inference,
    inference_addresses,
    models,
    openapi,
    post_route,
    score,
)
from service.routes import metrics as metrics_page
from service.runtime.scoreboard import Scoreboard
from service.scoring.live import Slot
from service.scoring.service import ScoringService
from service.server.iteration import yield_to_io
from service.telemetry.metrics import Metrics


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
        """Whether a text that a client chose is or holds a caller's key or the metrics' token."""
        return self.keys.search(self.settings.metrics_token)

    def is_ready(self) -> bool:
        """Whether the default model is warm, and no stop has begun."""
        return self.slot.warm and not self.scoreboard.stopping

    @property
    def guard(self) -> Guard:
        """What lets requests pass."""
        return Guard(self.keys, RequestIds(self.holds_secret))


class App(NamedTuple):
    """The app, and the routes that the server calls past Flask."""

    flask: Flask
    scoring: tuple[score.ScoreRoute, ...]
    explaining: tuple[explain.ExplainRoute, ...]
    inference: inference.InferenceRoute


def scoring_service(served: Served, parts: Parts) -> ScoringService:
    """The scoring core of one model; slices of arrays let the loop serve others in between."""
    shared = parts.settings, parts.metrics, parts.admission
    return ScoringService(served.model, served.slot, *shared, yield_to_io)


def create_app(parts: Parts) -> App:
    """The app at the public address. Builds nothing that lives longer than itself."""
    settings, metrics = parts.settings, parts.metrics
    app = new_app()
    app.url_map.merge_slashes = False  # /reg// is not an address, not a redirect that loses a body
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
    inferring = inference.InferenceRoute(scoring, settings, parts.scoreboard)
    app.register_blueprint(inference_addresses.blueprint(inferring, guard.protect))
    app.register_blueprint(inference_addresses.health(parts.is_ready))
    app.register_blueprint(health.home(guard))
    app.register_blueprint(health.probes(parts.slot, parts.scoreboard))
    app.register_blueprint(docs.blueprint(_document(parts)))
    if settings.metrics_token and not settings.metrics_bind:
        metrics_page.serve(app, metrics.registry, settings.metrics_token)
    _surround(app, parts)
    return App(app, scoring, explaining, inferring)


def _document(parts: Parts) -> dict[str, Any]:
    return openapi.document(parts.settings.explain_rows, [one.model for one in parts.others])


def create_metrics_app(parts: Parts) -> Flask:
    """What is served at the address of the metrics: their page and the probes, nothing else."""
    app = new_app()
    app.register_blueprint(health.probes(parts.slot, parts.scoreboard))
    metrics_page.serve(app, parts.metrics.registry, parts.settings.metrics_token)
    _surround(app, parts)
    return app


def _surround(app: Flask, parts: Parts) -> None:
    surround(app, parts.metrics.http.observe, lambda: parts.slot.current.version)
