"""What becomes of a value that the model can't judge, feature by feature.

Two kinds: categories that the model never saw, and plates with Latin letters where Cyrillic
ones are meant. Each feature has a policy:

    accept      it is scored as it is, and told
    normalise   a category is taken for the known one that differs by case, spaces or
                look-alike letters only, if there is just one; a plate's letters for the
                Cyrillic ones; what can't be put right so is accepted
    reject      the row is refused

A model scores what it is given: nothing is changed unless a policy says so.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import structs

from model.errors import InvalidRequest
from model.regno.features import Row, field_of
from model.regno.plates import in_cyrillic
from model.regno.request import Reading
from model.regno.scorer import RegnoScorer
from model.regno.spelling import respelt

Policy: TypeAlias = Literal["accept", "normalise", "reject"]

_UNSEEN: Final = "holds a value that the model never saw"
_LATIN: Final = "holds Latin letters where Cyrillic ones are meant"


class Checked(NamedTuple):
    """A row to score, or the fault for which it is refused.

    `unseen` features and `lookalikes` fields are what is left to be doubted; `normalised` are
    the fields that were changed, and `reading` is with these changes, None if there are none.
    """

    row: Row
    unseen: Sequence[str] = ()
    lookalikes: Sequence[str] = ()
    normalised: Sequence[str] = ()
    fault: InvalidRequest | None = None
    reading: Reading | None = None


class Guards:
    """The policies in force; a feature without one is accepted."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        """By categorical feature, and by field for plates."""
        self._normalised = {name for name, policy in policies.items() if policy == "normalise"}
        self._rejected = {name for name, policy in policies.items() if policy == "reject"}
        self.accept_all = not (self._normalised or self._rejected)

    def settle(self, scorer: RegnoScorer, reading: Reading, doubted: Checked) -> Checked:
        """What becomes of a reading whose row was found doubtful."""
        changes = self._changes(scorer, reading, doubted)
        row, unseen, lookalikes, *_ = doubted
        if changes:
            reading = structs.replace(reading, **changes)
            row = scorer.row(reading)
            unseen, lookalikes = scorer.unseen(row), scorer.lookalikes(reading)
        fault = self._fault(unseen, lookalikes)
        changed = reading if changes else None
        return Checked(row, unseen, lookalikes, list(changes), fault, changed)

    def _changes(self, scorer: RegnoScorer, reading: Reading, doubted: Checked) -> dict[str, str]:
        changes = {}
        for name in self._normalised.intersection(doubted.unseen).intersection(scorer.categories):
            known = respelt(getattr(reading, name), scorer.categories[name])
            if known is not None:
                changes[name] = known
        for name in self._normalised.intersection(doubted.lookalikes):
            changes[name] = in_cyrillic(getattr(reading, name))
        return changes

    def _fault(self, unseen: Sequence[str], lookalikes: Sequence[str]) -> InvalidRequest | None:
        for name in unseen:
            if name in self._rejected:
                field = field_of(name)
                reason = _UNSEEN if field == name else f"gives a {name} that the model never saw"
                return InvalidRequest(field, reason, "unseen")
        for name in lookalikes:
            if name in self._rejected:
                return InvalidRequest(name, _LATIN, "lookalike")
        return None
