"""The Flask apps of the web processes, wired in reading order from parts that are given."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from flask import Flask, request

from model import catalog
from service.config.settings import Settings
from service.http import errors
from service.http.api_keys import ApiKeys
from service.http.authentication import Guard
from service.http.reply import Reply
from service.http.request_ids import RequestIds
from service.http.wsgi_app import new_app, surround
from service.jobs.blobs import BlobsUnavailable
from service.jobs.records import Full, KeyReused, RecordsUnavailable
from service.jobs.service import JobService, StillAccepting
from service.jobs.stores import Stores, jobs_folder
from service.jobs.webhooks import Endpoints
from service.routes import docs, health
from service.routes import metrics as metrics_page
from service.runtime.scoreboard import Scoreboard
from service.telemetry.metrics import ServerMetrics
from service.telemetry.record import Record, record_of
from service.web import openapi
from service.web.inputs import Inputs
from service.web.readiness import NO_RECORDS, Readiness
from service.web.routes import jobs, probes
from service.web.waiting import Waiting

Observe = Callable[[Sequence[Record]], None]

# Errors that are no fault of the service: status and text of the reply.
_REPLIES: Final[dict[type[Exception], tuple[int, str]]] = {
    KeyReused: (422, "Idempotency-Key: it was used for another request"),
    StillAccepting: (409, "Idempotency-Key: its request is still being accepted"),
    Full: (429, "as many jobs wait as may wait"),
    RecordsUnavailable: (503, NO_RECORDS),
    BlobsUnavailable: (503, "inputs and results can't be kept or read now"),
}
_LATER: Final = (409, 429, 503)


class Parts(NamedTuple):
    """What a web process is made of."""

    settings: Settings
    keys: ApiKeys
    metrics: ServerMetrics
    scoreboard: Scoreboard
    stores: Stores
    endpoints: Endpoints


def create_app(parts: Parts, observe: Observe) -> Flask:
    """The app at the public address; `observe` gets the records of answered requests."""
    settings, keys, metrics, scoreboard, stores, endpoints = parts
    app = new_app()
    _add_error_handlers(app)
    guard = Guard(keys, RequestIds(keys.search(settings.metrics_token)))
    service = JobService(settings, stores)
    inputs = Inputs(settings, stores.blobs, jobs_folder(settings))
    waiting = Waiting(settings.web_threads // 2, lambda: scoreboard.stopping)
    routes = jobs.JobRoutes(endpoints, service, inputs, waiting)
    app.register_blueprint(jobs.blueprint(routes, guard))
    app.register_blueprint(health.home(guard))
    app.register_blueprint(probes.blueprint(Readiness(service.ping, scoreboard)))
    app.register_blueprint(docs.blueprint(openapi.document(list(catalog.entries()))))
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


def _add_error_handlers(app: Flask) -> None:
    def answered(error: Exception) -> Reply:
        status, text = _REPLIES[type(error)]
        later = errors.retry_after() if status in _LATER else {}
        return errors.answer(errors.Refused(status, text, later), record_of(request.environ))

    for kind in _REPLIES:
        app.register_error_handler(kind, answered)
