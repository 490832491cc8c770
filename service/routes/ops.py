"""GET / with a key; GET /healthz and GET /readyz without."""

from flask import Blueprint

from service import reply
from service.auth import KeyRing
from service.guard import require_key
from service.reply import Reply
from service.slots import Slot


def home(keys: KeyRing) -> Blueprint:
    """`/`: the caller's check that address and key are right."""
    routes = Blueprint("home", __name__)
    require_key(routes, keys)
    routes.add_url_rule("/", "home", lambda: reply.ok("ok"), methods=["GET"])
    return routes


def probes(slot: Slot) -> Blueprint:
    """`/healthz`: this worker answers. `/readyz`: its model is loaded and warmed."""
    routes = Blueprint("probes", __name__)

    @routes.get("/healthz")
    def healthz() -> Reply:
        return reply.ok("alive")

    @routes.get("/readyz")
    def readyz() -> Reply:
        return reply.ok("ready") if slot.warm else reply.fail(503, "the model is not warm yet")

    return routes
