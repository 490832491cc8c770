"""The Flask app, wired in reading order from parts that are given."""

from flask import Flask, Request
from werkzeug.routing import MapAdapter

from service import errors
from service.auth import KeyRing
from service.door import Door
from service.metrics import Metrics
from service.routes import docs, ops, reg
from service.settings import Settings
from service.slots import Slot


class App(Flask):
    """Flask, with what its routing works out anew for each request taken as it is."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the routes to a request's own address.

        Flask's way first compares server names and subdomains, none of which are used
        here: a twentieth of the cost of a small request.
        """
        if request is None:
            return None
        environ = request.environ
        return MapAdapter(
            self.url_map,
            server_name=environ.get("HTTP_HOST") or environ["SERVER_NAME"],
            script_name=environ["SCRIPT_NAME"],
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=request.path,
            default_method=environ["REQUEST_METHOD"],
            query_args=environ["QUERY_STRING"],
        )


def create_app(settings: Settings, slot: Slot, keys: KeyRing, metrics: Metrics) -> Flask:
    """The app behind its door. Builds nothing that lives longer than itself."""
    app = App(__name__, static_folder=None)
    app.extensions["slot"] = slot  # for the worker, which answers what never reaches the app
    errors.register(app)
    app.register_blueprint(reg.blueprint(slot, keys, settings, metrics))
    app.register_blueprint(ops.home(keys))
    app.register_blueprint(ops.probes(slot))
    app.register_blueprint(docs.blueprint())
    metrics.serve(app, settings.metrics_token)
    app.wsgi_app = Door(app.wsgi_app, slot, metrics)  # type: ignore[assignment]
    return app
