"""GET /healthz and GET /readyz of the web processes, without a key."""

from flask import Blueprint

from service.routes import health
from service.web.readiness import Readiness


def blueprint(readiness: Readiness) -> Blueprint:
    """`/healthz`: a thread answers. `/readyz`: jobs can be taken, and no stop has begun."""
    routes = Blueprint("probes", __name__)
    routes.add_url_rule("/healthz", "healthz", health.alive, methods=["GET"])
    routes.add_url_rule("/readyz", "readyz", readiness, methods=["GET"])
    return routes
