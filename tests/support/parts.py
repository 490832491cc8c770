"""The parts of a server, in this process."""

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from flask import Flask

from model.regno import MODEL, RegnoScorer
from service.app import App, Parts, create_app
from service.config.settings import Settings
from service.endpoints import public_site
from service.http.api_keys import ApiKeys
from service.overload.admission import Admission
from service.rollout.rollout_state import RolloutState
from service.runtime.scoreboard import PLACES, Scoreboard
from service.scoring.core import decisions_of
from service.scoring.live import Slot
from service.telemetry.log_lines import Lines
from service.telemetry.logs import ServerLogger
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.server.request import Request
    from service.telemetry.record import Record

AppMaker: TypeAlias = Callable[..., Flask]
SiteMaker: TypeAlias = "Callable[..., Served]"


def make_parts(settings: Settings, scorer: RegnoScorer, *, metrics_kept: bool = True) -> Parts:
    """Parts with a warm model, of which nothing is shared with another test."""
    keys = ApiKeys(settings)
    metrics = Metrics(keys.names, MODEL, decisions_of(MODEL, settings), kept=metrics_kept)
    admission = Admission(settings, metrics.http.shed)
    slot = Slot(scorer, metrics, admission)
    slot.warm_up()
    scoreboard, rollout_state = Scoreboard(PLACES), RolloutState(os.memfd_create("test"))
    return Parts(settings, keys, metrics, admission, slot, scoreboard, rollout_state)


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
    parts.metrics.process.publish()
    for live in parts.slot.served:
        live.predictions.publish()


def parts_of(app: Flask) -> Parts:
    """The parts of an app that `make_app` has made."""
    parts: Parts = app.extensions["parts"]
    return parts


def logger_of(lines: Lines, share: float = 1.0) -> ServerLogger:
    """The server's logger, but for gunicorn's own handlers of the whole process."""
    logger = ServerLogger.__new__(ServerLogger)
    logger.error_log = logging.getLogger("tests.access")
    logger.error_log.setLevel(logging.INFO)
    logger.error_log.handlers = [lines]
    logger.error_log.propagate = False
    logger.lines, logger.share, logger._access_to_stdout = lines, share, True
    logger._least_level, logger._rejected, logger._unreported = logging.INFO, 0, 0
    return logger
