"""The WSGI entry: settings → scorer → app. The only module that does something when imported.

gunicorn imports it once in the master, before the workers are forked, so that they share
the libraries' and the model's memory. Nothing is predicted there: CatBoost's threads would
not survive the fork.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask

from model import ModelRefused
from model.registry import check_model
from model.regno import BUNDLED, RegnoScorer
from service import sites
from service.app import Parts, create_app, create_metrics_app
from service.config.settings import Settings, SettingsError, refuse_start, variable
from service.http.api_keys import ApiKeys
from service.overload.admission import Admission
from service.process.runtime import runtime
from service.rollout.joining import first
from service.rollout.rollout_state import whiteboard
from service.scoring.live import Slot
from service.scoring.thresholds import thresholds_of
from service.server.request import Request
from service.server.site import Site
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record
from service.telemetry.tracing import traces

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Application:
    """What gunicorn loads: a WSGI app, and for this project's worker the sites to serve."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._app = create_app(parts)
        self._metrics_app = create_metrics_app(parts)

    @property
    def flask(self) -> Flask:
        """The app at the public address."""
        return self._app.flask

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface, of any other worker."""
        return self.flask(environ, start)

    def site(self, address: Any, log: Callable[[Sequence[Record]], None]) -> Site:
        """What is served at a listening address; `log` writes the access lines."""
        http, spans = self.parts.metrics.http, traces.spans

        def answered(requests: Sequence[Request]) -> None:
            records = [request.record for request in requests]
            http.observe(records)
            log(records)
            if spans is not None:
                for request in requests:
                    spans.make(request.record, request.headers.get(b"traceparent", b""))

        metrics_address = self.parts.settings.metrics_address
        if metrics_address is not None and address[:2] == metrics_address:
            return sites.metrics_site(self._metrics_app, self.parts, answered)
        return sites.public_site(self._app, self.parts, answered)


def load_scorer(settings: Settings, metrics: Metrics) -> RegnoScorer:
    """The scorer that the settings name, or the live one of their registry.

    Raises SettingsError.
    """
    if settings.registry:
        return first(settings, lambda: metrics.scoring.loaded("refused"))
    try:
        if not settings.model:
            # Not examined: its manifest's hash says that it is what was tested.
            return RegnoScorer.load(BUNDLED, settings.positive_class)
        check_model(Path(settings.model), settings.positive_class)
        return RegnoScorer.load(settings.model, settings.positive_class)
    except ModelRefused as reason:
        raise SettingsError(variable("model"), str(reason)) from reason


def build() -> Application:
    """The app. Stops the process when a setting can't be used."""
    try:
        settings = runtime().settings
        keys = ApiKeys(settings)
        metrics = Metrics(keys.names, thresholds_of(settings), kept=settings.metrics_kept)
        admission = Admission(settings, metrics.http.shed)
        scorer = load_scorer(settings, metrics)
        scorer.prepare()
        slot = Slot(scorer, metrics, admission, settings.kept_readings)
    except SettingsError as error:
        refuse_start(error)
    return Application(
        Parts(settings, keys, metrics, admission, slot, runtime().scoreboard, whiteboard())
    )


def model_description() -> str:
    """The model that this server started with, for the log: version, setting and classes."""
    settings, scorer = app.parts.settings, app.parts.slot.current.scorer
    name = "registry" if settings.registry else "model"
    where = getattr(settings, name) or "the bundled one"
    classes = f"positive is class {scorer.positive_class} of {' and '.join(scorer.classes)}"
    return f"version {scorer.version} ({variable(name)}: {where}; {classes})"


app = build()
