"""`?detail=1`: scores with a decision, its margin, warnings and the model's version."""

from typing import Final
from urllib.parse import parse_qs

from model import InvalidRequest
from model.regno import Detail, Detailer, Guards, Reading, Score
from service.config.settings import Settings
from service.scoring.live import Live
from service.scoring.thresholds import thresholds_of

_WANTED: Final = {"0": False, "1": True}


def wanted(query: str) -> bool:
    """Whether a query string asks for details. Raises InvalidRequest unless it is by 0 or 1."""
    values = parse_qs(query, keep_blank_values=True, errors="replace").get("detail", ["0"])
    if len(values) > 1:
        raise InvalidRequest("detail", "is named twice")
    if values[0] not in _WANTED:
        raise InvalidRequest("detail", "must be 0 or 1", "range")
    return _WANTED[values[0]]


class Details:
    """Makes them by the costs of the settings."""

    def __init__(self, settings: Settings, guards: Guards) -> None:
        self._detailer = Detailer(thresholds_of(settings), guards)

    def one(self, live: Live, reading: Reading, score: Score) -> Detail:
        """The detail of one score."""
        return self._detailer.of(live.scorer, reading, score)
