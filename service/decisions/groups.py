"""The groups of decisions for which quality is shown apart, such as the classes of cameras."""

from typing import Final

from model import catalog
from service.decisions.decision import Decision, decode
from service.decisions.log import Damaged, DecisionLog, Forgotten
from service.decisions.store import Row

UNKNOWN: Final = "not known"
# Names of groups that are kept in memory, some megabytes.
_MOST: Final = 100_000


class Groups:
    """The groups of decisions, each read from the log once."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def of(self, log: DecisionLog, row: Row) -> str:
        """The group of a decision; `UNKNOWN` if it can't be read or its model has none."""
        found = self._known.get(row.entry)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[row.entry] = _group(log, row)
        return found


def group_of(decision: Decision) -> str:
    """The group of a decision, `UNKNOWN` if its model has none."""
    model = catalog.entry(decision.model).load()
    return model.group(model.decoder(1)(bytes(decision.request))) or UNKNOWN


def _group(log: DecisionLog, row: Row) -> str:
    try:
        entry = decode(log.canonical(row))
    except (Forgotten, Damaged):
        return UNKNOWN
    return group_of(entry) if isinstance(entry, Decision) else UNKNOWN
