"""The WSGI entry: settings → scorer → app. The only module that does something when imported.

gunicorn imports it once in the master, before the workers are forked, so that they share
the libraries' and the model's memory. Nothing is predicted there: CatBoost's threads would
not survive the fork.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flask import Flask

from model import ModelRefused, catalog
from model.registry import check_model
from model.scorer import Model, Scorer
from service import endpoints
from service.app import Parts, create_app, create_metrics_app
from service.config.settings import Settings, SettingsError, refuse_start, variable
from service.http.api_keys import ApiKeys
from service.overload.admission import Admission
from service.rollout.rollout_state import rollout_state
from service.rollout.startup import Served, has_live, initial_scorer
from service.runtime import runtime
from service.scoring.capture import Capture
from service.scoring.core import decisions_of
from service.scoring.live import Slot
from service.server.request import Request
from service.server.site import Site
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record
from service.telemetry.tracing import traces

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("scoring")


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
            return endpoints.metrics_site(self._metrics_app, self.parts, answered)
        return endpoints.public_site(self._app, self.parts, answered)


def load_scorer(settings: Settings, metrics: Metrics) -> Any:
    """The default model's scorer: the one that the settings name, or the live one of the registry.

    Raises SettingsError.
    """
    if settings.registry:
        return initial_scorer(settings, catalog.DEFAULT, lambda: metrics.scoring.loaded("refused"))
    entry = catalog.entry(catalog.DEFAULT)
    path = Path(settings.model) if settings.model else entry.bundled
    try:
        if settings.model:  # the bundled one's manifest has the hash of what was tested
            check_model(Path(settings.model), settings.positive_class)
        return entry.load().load(cast("Path", path), settings.positive_class)
    except ModelRefused as reason:
        raise SettingsError(variable("model"), str(reason)) from reason


def _others(settings: Settings, metrics: Metrics, admission: Admission) -> Iterator[Served]:
    """The catalog's other models: the live version of the registry, or the bundled file.

    One that has neither is not served. Raises SettingsError.
    """
    for name, entry in catalog.entries().items():
        if name == catalog.DEFAULT:
            continue
        model = entry.load()
        if settings.registry:
            if not has_live(settings, name):
                log.warning("%s is not served: the registry names no live version of it", name)
                continue
            loaded = metrics.of(name).scoring.loaded
            scorer = initial_scorer(settings, name, partial(loaded, "refused"))
        elif entry.bundled:
            scorer = model.load(entry.bundled)
        else:
            log.warning("%s is not served: it has no bundled file, and there is no registry", name)
            continue
        scorer.prepare()
        slot = Slot(scorer, metrics, admission, settings.kept_readings)
        yield Served(model, slot, rollout_state(name))


def _capture(model: Model, scorer: Scorer, settings: Settings, metrics: Metrics) -> Capture | None:
    """What captures the default model's rows, None unless it is set. Raises SettingsError."""
    if not settings.capture:
        return None
    if not settings.capture_dir:
        reason = f"{variable('capture')} is set, and this names no folder for it"
        raise SettingsError(variable("capture_dir"), reason)
    return Capture(model, settings, scorer.memory_of, metrics.capture)


def build() -> Application:
    """The app. Stops the process when a setting can't be used."""
    try:
        settings = runtime().settings
        keys = ApiKeys(settings)
        default = catalog.entry(catalog.DEFAULT).load()
        decisions = decisions_of(default, settings)
        metrics = Metrics(keys.names, default, decisions, kept=settings.metrics_kept)
        admission = Admission(settings, metrics.http.shed)
        scorer = load_scorer(settings, metrics)
        scorer.prepare()
        slot = Slot(scorer, metrics, admission, settings.kept_readings)
        slot.capture = _capture(default, scorer, settings, metrics)
        others = tuple(_others(settings, metrics, admission))
    except SettingsError as error:
        refuse_start(error)
    parts = Parts(
        settings, keys, metrics, admission, slot, runtime().scoreboard, rollout_state(), others
    )
    return Application(parts)


def model_description() -> str:
    """The model that this server started with, for the log: version, setting and classes."""
    settings, scorer = app.parts.settings, app.parts.slot.current.scorer
    name = "registry" if settings.registry else "model"
    where = getattr(settings, name) or "the bundled one"
    classes = f"positive is class {scorer.positive_class} of {' and '.join(scorer.classes)}"
    return f"version {scorer.version} ({variable(name)}: {where}; {classes})"


app = build()
