"""The parts of a server, in this process."""

import os
from typing import TYPE_CHECKING

from flask import Flask

from model.regno import RegnoScorer
from service.app import App, Parts, create_app
from service.config.settings import Settings
from service.http.api_keys import ApiKeys
from service.overload.admission import Admission
from service.process.scoreboard import PLACES, Scoreboard
from service.rollout.rollout_state import Whiteboard
from service.scoring.live import Slot
from service.scoring.thresholds import thresholds_of
from service.sites import public_site
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.server.request import Request
    from service.telemetry.record import Record


def make_parts(settings: Settings, scorer: RegnoScorer, *, metrics_kept: bool = True) -> Parts:
    """Parts with a warm model, of which nothing is shared with another test."""
    keys = ApiKeys(settings)
    metrics = Metrics(keys.names, thresholds_of(settings), kept=metrics_kept)
    admission = Admission(settings, metrics.http.shed)
    slot = Slot(scorer, metrics, admission)
    slot.warm_up()
    scoreboard, whiteboard = Scoreboard(PLACES), Whiteboard(os.memfd_create("test"))
    return Parts(settings, keys, metrics, admission, slot, scoreboard, whiteboard)


class Served:
    """The public site of a server in this process, and what it has answered."""

    def __init__(self, app: App, parts: Parts) -> None:
        self.app = app
        self.parts = parts
        self.answered: list[Record] = []
        self.site = public_site(app, parts, self._answered)

    def _answered(self, requests: "Sequence[Request]") -> None:
        records = [request.record for request in requests]
        self.parts.metrics.http.observe(records)
        self.answered += records


def serve(settings: Settings, scorer: RegnoScorer) -> Served:
    """A site of such parts."""
    parts = make_parts(settings, scorer)
    return Served(create_app(parts), parts)


def publish(parts: Parts, in_flight: int = 0) -> None:
    """Write what was noted, as a worker does once a second."""
    parts.metrics.http.publish(in_flight)
    parts.metrics.scoring.publish()
    parts.metrics.process.publish(())
    for live in parts.slot.served:
        live.behaviour.publish()


def parts_of(app: Flask) -> Parts:
    """The parts of an app that `make_app` has made."""
    parts: Parts = app.extensions["parts"]
    return parts
