"""`?detail=1`: scores with a decision, its margin, warnings and the model's version."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

from model import InvalidRequest
from model.regno import Detail, Detailer, Guards, Reading, Score
from service.deciding import thresholds_of
from service.settings import Settings
from service.slots import Live
from service.turns import after_the_sockets

# Details of so many rows are made at once, some milliseconds; then others have their turn.
_AT_ONCE: Final = 100
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

    def many(
        self,
        live: Live,
        items: Sequence[Reading | InvalidRequest],
        results: Sequence[Score | InvalidRequest],
    ) -> list[Detail | InvalidRequest]:
        """Those of an array: `items` are its rows as they were sent, `results` what they got."""
        detailed: list[Detail | InvalidRequest] = []
        for item, result in zip(items, results, strict=True):
            if isinstance(result, InvalidRequest):
                detailed.append(result)
            elif isinstance(item, Reading):
                detailed.append(self.one(live, item, result))
            if len(detailed) % _AT_ONCE == 0:
                after_the_sockets()
        return detailed
