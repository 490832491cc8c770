"""The Flask app, wired in reading order from parts that are given."""

from flask import Flask

from service import errors
from service.auth import KeyRing
from service.door import Door
from service.metrics import Metrics
from service.routes import docs, ops, reg
from service.settings import Settings
from service.slots import Slot


def create_app(settings: Settings, slot: Slot, keys: KeyRing, metrics: Metrics) -> Flask:
    """The app behind its door. Builds nothing that lives longer than itself."""
    app = Flask(__name__, static_folder=None)
    app.extensions["slot"] = slot  # for the worker, which answers what never reaches the app
    errors.register(app)
    app.register_blueprint(reg.blueprint(slot, keys, settings, metrics))
    app.register_blueprint(ops.home(keys))
    app.register_blueprint(ops.probes(slot))
    app.register_blueprint(docs.blueprint())
    metrics.serve(app, settings.metrics_token)
    app.wsgi_app = Door(app.wsgi_app, slot, metrics)  # type: ignore[assignment]
    return app
