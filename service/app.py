"""The Flask app, wired in reading order from parts that are given."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from flask import Flask

from service import errors
from service.admission import Admission
from service.auth import KeyRing
from service.board import board
from service.door import Door
from service.metrics import Metrics
from service.routes import docs, explain, model, ops, reg
from service.settings import Settings
from service.shedding import Glance
from service.slots import Slot
from service.swap.whiteboard import whiteboard

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from service.reply import Reply


Lane: TypeAlias = "dict[tuple[str, str], Callable[[WSGIEnvironment], Reply]]"


class App(Flask):
    """Flask with an express lane for views that need nothing of it but the environ.

    `express` holds them by method and path. The contexts, sessions, signals and response
    objects that Flask makes for a view cost as much as scoring does. Everything else, other
    methods at the same paths among it, goes Flask's way.
    """

    express: Lane

    def wsgi_app(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The WSGI interface, within the door."""
        view = self.express.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if view is None:
            if environ["PATH_INFO"].startswith("//"):  # Flask would drop all slashes but one
                return errors.nowhere()(environ, start_response)
            return super().wsgi_app(environ, start_response)
        try:
            reply = view(environ)
        except Exception as error:  # noqa: BLE001 - Flask's own last resort does the same
            reply = errors.answer(error, environ)
        return reply(environ, start_response)

    def log_exception(self, exc_info: object) -> None:
        """Say nothing: `errors` logs what may be told, Flask would log the exception's text."""


def create_app(settings: Settings, slot: Slot, keys: KeyRing, metrics: Metrics) -> Flask:
    """The app behind its door. Builds nothing that lives longer than itself."""
    app = App(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # /reg// is no address, not a redirect that loses a body
    app.extensions["slot"] = slot  # for the worker, which answers what never reaches the app
    app.extensions["metrics"] = metrics  # for the worker, which counts what it reports
    keys.count = metrics.count_keys_reload
    errors.register(app)
    admission = Admission(settings, metrics.http.shed)
    scoring = reg.RegRoute(slot, keys, settings, metrics, admission)
    app.express = {("POST", path): scoring.post for path in ("/reg/", "/reg")}
    explaining = explain.ExplainRoute(slot, keys, settings, metrics, admission)
    app.express |= {("POST", path): explaining.post for path in explain.PATHS}
    app.register_blueprint(reg.blueprint(scoring, keys))
    holds_secret = _secrets(settings, keys)
    app.extensions["holds_secret"] = holds_secret  # for spans
    operating = model.ModelRoute(settings, slot, board(), whiteboard(), holds_secret)
    app.register_blueprint(model.blueprint(operating, keys, settings.admin_names))
    app.register_blueprint(explain.blueprint(explaining, keys))
    app.register_blueprint(ops.home(keys))
    app.register_blueprint(ops.probes(slot, board()))
    app.register_blueprint(docs.blueprint(settings))
    if settings.metrics_token and not settings.metrics_bind:
        metrics.serve(app, settings.metrics_token)
    door = Door(app.wsgi_app, slot, metrics, holds_secret)
    app.extensions["admission"] = admission
    app.extensions["glance"] = Glance(admission, door, keys)  # for the worker, as above
    app.wsgi_app = door  # type: ignore[assignment]
    return app


def create_metrics_app(settings: Settings, slot: Slot, keys: KeyRing, metrics: Metrics) -> Flask:
    """What is served at the address of the metrics: their page and the probes, nothing else."""
    app = Flask(__name__, static_folder=None)
    errors.register(app)
    app.register_blueprint(ops.probes(slot, board()))
    metrics.serve(app, settings.metrics_token)
    app.wsgi_app = Door(app.wsgi_app, slot, metrics, _secrets(settings, keys))  # type: ignore[assignment]
    return app


def _secrets(settings: Settings, keys: KeyRing) -> Callable[[str], bool]:
    """Whether a text is or holds a caller's key or the metrics' token."""
    token = settings.metrics_token
    return lambda text: keys.is_in(text) or bool(token and token in text)
