"""The Flask apps of the web processes, wired in reading order from parts that are given."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flask import Flask

from service.config.models import served
from service.config.settings import Settings
from service.decisions.reasons import Explained
from service.http.api_keys import ApiKeys
from service.http.authentication import Guard
from service.http.request_ids import RequestIds
from service.http.wsgi_app import new_app, surround
from service.images.client import Pictures, is_installed
from service.images.history_store import open_history
from service.jobs.service import JobService
from service.jobs.stores import Stores, jobs_folder
from service.jobs.webhooks import Endpoints
from service.routes import docs, inference_addresses
from service.routes import metrics as metrics_page
from service.runtime.scoreboard import Scoreboard
from service.telemetry.metrics import ServerMetrics
from service.telemetry.record import Record
from service.web import openapi
from service.web.decision_log import ReviewedLog
from service.web.error_replies import REPLIES, reply_to
from service.web.inputs import Inputs
from service.web.readiness import Readiness
from service.web.routes import (
    decisions,
    home,
    inference,
    jobs,
    picture_pages,
    pictures,
    plates,
    probes,
    review,
    training,
)
from service.web.sessions import Sessions
from service.web.uploads import Uploads
from service.web.waiting import Waiting

Observe = Callable[[Sequence[Record]], None]


class Parts(NamedTuple):
    """What a web process is made of."""

    settings: Settings
    keys: ApiKeys
    metrics: ServerMetrics
    scoreboard: Scoreboard
    stores: Stores
    endpoints: Endpoints
    pictures: Pictures


def create_app(parts: Parts, observe: Observe) -> Flask:
    """The app at the public address; `observe` gets the records of answered requests."""
    settings, keys, metrics, scoreboard, stores, endpoints, _ = parts
    app = new_app()
    for kind in REPLIES:
        app.register_error_handler(kind, reply_to)
    guard = Guard(keys, RequestIds(keys.search(settings.metrics_token)))
    sessions = Sessions(guard, keys)
    service = JobService(settings, stores)
    inputs = Inputs(settings, stores.blobs, jobs_folder(settings))
    waiting = Waiting(settings.web_threads // 2, lambda: scoreboard.stopping)
    routes = jobs.JobRoutes(endpoints, service, inputs, waiting)
    app.register_blueprint(jobs.blueprint(routes, guard))
    train = training.TrainingRoute(settings, inputs, routes)
    app.register_blueprint(training.blueprint(train, guard))
    app.register_blueprint(home.root(guard))
    app.register_blueprint(home.entry(sessions))
    installed = is_installed()
    asked = pictures.ADDRESSES if installed else {}
    app.register_blueprint(home.models(settings, sessions, asked))
    plate_pages = plates.PlatePages(service, inputs, waiting)
    app.register_blueprint(plates.blueprint(plate_pages, routes.result, sessions))
    history = open_history(settings, jobs_folder(settings))
    picture_routes = pictures.PictureRoutes(
        parts.pictures, Uploads(settings), history, installed=installed
    )
    app.register_blueprint(pictures.blueprint(picture_routes, sessions))
    shown = picture_pages.PicturePages(picture_routes)
    app.register_blueprint(picture_pages.blueprint(shown, sessions))
    reviewed = ReviewedLog(settings)
    app.register_blueprint(decisions.blueprint(decisions.DecisionRoutes(reviewed), sessions))
    review_pages = review.ReviewPages(reviewed, Explained(settings))
    app.register_blueprint(review.blueprint(review_pages, sessions))
    # Only those see a link to it.
    app.jinja_env.globals["reviewers"] = settings.reviewer_names if settings.decisions_dir else ()
    readiness = Readiness(service.ping, scoreboard)
    app.register_blueprint(probes.blueprint(readiness))
    inferring = inference.PictureInference(settings, parts.pictures, installed=installed)
    answers = dict.fromkeys(REPLIES, reply_to)
    app.register_blueprint(inference_addresses.blueprint(inferring, guard.protect, answers))
    app.register_blueprint(inference_addresses.health(lambda: readiness().status == 200))
    app.register_blueprint(docs.blueprint(openapi.document(list(served(settings)))))
    app.register_blueprint(docs.swagger_ui("/v1/ui"))
    if settings.metrics_token and not settings.metrics_bind:
        metrics_page.serve(app, metrics.registry, settings.metrics_token)
    surround(app, observe, lambda: "")
    return app


def create_metrics_app(parts: Parts, observe: Observe) -> Flask:
    """What is served at the address of the metrics: their page and the probes, nothing else."""
    app = new_app()
    service = JobService(parts.settings, parts.stores)
    app.register_blueprint(probes.blueprint(Readiness(service.ping, parts.scoreboard)))
    metrics_page.serve(app, parts.metrics.registry, parts.settings.metrics_token)
    surround(app, observe, lambda: "")
    return app
