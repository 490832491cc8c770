"""The parts of a server, in this process."""

import os

from flask import Flask

from model.regno import RegnoScorer
from service.admission import Admission
from service.app import Parts
from service.auth import KeyRing
from service.board import PLACES, Board
from service.metrics import Metrics
from service.settings import Settings
from service.slots import Slot
from service.swap.whiteboard import Whiteboard


def make_parts(settings: Settings, scorer: RegnoScorer, *, metrics_kept: bool = True) -> Parts:
    """Parts with a warm model, of which nothing is shared with another test."""
    keys = KeyRing(settings)
    metrics = Metrics(keys.names, kept=metrics_kept)
    admission = Admission(settings, metrics.http.shed)
    slot = Slot(scorer, metrics, admission)
    slot.warm_up()
    board, whiteboard = Board(PLACES), Whiteboard(os.memfd_create("test"))
    return Parts(settings, keys, metrics, admission, slot, board, whiteboard)


def parts_of(app: Flask) -> Parts:
    """The parts of an app that `make_app` has made."""
    parts: Parts = app.extensions["parts"]
    return parts
