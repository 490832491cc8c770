"""GET / with a key; GET /healthz and GET /readyz without."""

from functools import partial

from flask import Blueprint

from service.http import reply
from service.http.authentication import Guard
from service.http.reply import Reply
from service.runtime.scoreboard import Scoreboard
from service.scoring.live import Slot


def home(guard: Guard) -> Blueprint:
    """`/`: the caller's check that address and key are right."""
    routes = Blueprint("home", __name__)
    guard.protect(routes)
    routes.add_url_rule("/", "home", lambda: reply.ok("ok"), methods=["GET"])
    return routes


def probes(slot: Slot, scoreboard: Scoreboard) -> Blueprint:
    """`/healthz`: this worker answers. `/readyz`: it is warm, and the server not about to stop."""
    routes = Blueprint("probes", __name__)

    routes.add_url_rule("/healthz", "healthz", alive, methods=["GET"])
    routes.add_url_rule("/readyz", "readyz", partial(ready, slot, scoreboard), methods=["GET"])
    return routes


def alive() -> Reply:
    """That of /healthz."""
    return reply.ok("alive")


def ready(slot: Slot, scoreboard: Scoreboard) -> Reply:
    """That of /readyz."""
    if scoreboard.stopping:
        return reply.fail(503, "the server is about to stop")
    return reply.ok("ready") if slot.warm else reply.fail(503, "the model is not warm yet")
