"""The WSGI entry: settings → models → app. Importing it builds the app.

gunicorn imports it once in the master, before the workers are forked, so that they share
the libraries' and the model's memory. Nothing is predicted there: CatBoost's threads would
not survive the fork.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask

from model import catalog
from service import endpoints
from service.app import Parts, create_app, create_metrics_app
from service.config.settings import SettingsError, refuse_start, variable
from service.http.api_keys import ApiKeys
from service.overload.admission import Admission
from service.rollout.models import load_models
from service.runtime import runtime
from service.scoring.core import decisions_of
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
        metrics_address = self.parts.settings.metrics_address
        if metrics_address is not None and address[:2] == metrics_address:
            return self.metrics_site(log)
        return endpoints.public_site(self._app, self.parts, self._answered(log))

    def metrics_site(self, log: Callable[[Sequence[Record]], None]) -> Site:
        """The metrics and the probes."""
        return endpoints.metrics_site(self._metrics_app, self.parts, self._answered(log))

    def _answered(
        self, log: Callable[[Sequence[Record]], None]
    ) -> Callable[[Sequence[Request]], None]:
        """What is done with requests that were answered."""
        http, spans = self.parts.metrics.http, traces.spans

        def answered(requests: Sequence[Request]) -> None:
            records = [request.record for request in requests]
            http.observe(records)
            log(records)
            if spans is not None:
                for request in requests:
                    spans.make(request.record, request.headers.get(b"traceparent", b""))

        return answered


def build() -> Application:
    """The app. Stops the process when a setting can't be used."""
    try:
        settings = runtime().settings
        keys = ApiKeys(settings)
        default = catalog.entry(catalog.DEFAULT).load()
        decisions = decisions_of(default, settings)
        metrics = Metrics(keys.names, default, decisions, kept=settings.metrics_kept)
        admission = Admission(settings, metrics.http.shed)
        first, *others = load_models(settings, metrics, admission)
    except SettingsError as error:
        refuse_start(error)
    parts = Parts(
        *(settings, keys, metrics, admission, first.slot, runtime().scoreboard),
        *(first.rollout_state, tuple(others)),
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
