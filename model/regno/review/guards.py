"""Guards: what is done with a doubtful reading, by the policy for each of its warnings.

    accept      the reading is scored unchanged, with the warning
    normalise   a category is replaced by the only known one that differs just in case, spaces or
                look-alike letters, a plate's Latin letters by Cyrillic ones; a reading that can't
                be corrected like this is accepted
    reject      the reading is refused

A reading changes only where a policy says so. Categories of the calendar are checked only if their
policy is `reject`; `doubts.finder` describes the other warnings.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import structs

from model.errors import InvalidRequest
from model.regno.doubts.finder import (
    AGREE,
    CAMERA,
    CHARACTERS,
    IMPLAUSIBLE,
    LOOKALIKE,
    MISMATCH,
    NETWORK,
    NORMALISED,
    OUT_OF_RANGE,
    PLATES,
    UNSEEN,
    named,
    parts,
)
from model.regno.features import CALENDAR, Row, field_of
from model.regno.plates import in_cyrillic
from model.regno.request import Reading
from model.regno.review.spelling import respelt
from model.regno.scorer import RegnoScorer

Policy: TypeAlias = Literal["accept", "normalise", "reject"]

# The kinds of `model.errors` that refusals count as.
_KINDS: Final = {
    UNSEEN: "unseen",
    LOOKALIKE: "lookalike",
    OUT_OF_RANGE: "range",
    MISMATCH: "mismatch",
    IMPLAUSIBLE: "implausible",
    AGREE: "agree",
}


class Checked(NamedTuple):
    """A row to score, or the fault for which it is refused.

    `warnings` are the remaining ones; `normalised` are the changed fields, and `reading` is the
    changed reading, None without changes.
    """

    row: Row
    warnings: Sequence[str] = ()
    normalised: Sequence[str] = ()
    fault: InvalidRequest | None = None
    reading: Reading | None = None

    @property
    def request(self) -> Reading | None:
        """The reading to score instead, in the words of `model.scorer`."""
        return self.reading

    @property
    def names(self) -> list[str]:
        """The warnings that are left, and what was put right."""
        return [*self.warnings, *(named(NORMALISED, field) for field in self.normalised)]


class Guards:
    """The policies in force; a warning without one is accepted."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        """By the name of the warning."""
        self._normalised = {name for name, policy in policies.items() if policy == "normalise"}
        self._rejected = {name for name, policy in policies.items() if policy == "reject"}
        self._calendar = self._rejected & {named(UNSEEN, feature) for feature in CALENDAR}
        self.accept_all = not (self._normalised or self._rejected)

    def warnings(self, scorer: RegnoScorer, reading: Reading, row: Row) -> list[str]:
        """What makes a reading doubtful, `row` being its features."""
        warnings = scorer.warnings(reading, row)
        if self._calendar:
            unseen = (named(UNSEEN, feature) for feature in scorer.unseen_in_calendar(row))
            warnings += self._calendar.intersection(unseen)
        return warnings

    def settle(
        self, scorer: RegnoScorer, reading: Reading, row: Row, warnings: Sequence[str]
    ) -> Checked:
        """The outcome for a reading with warnings: its row, changes, or a fault."""
        changes = self._changes(scorer, reading, warnings)
        if changes:
            reading = structs.replace(reading, **changes)
            row = scorer.row(reading)
            warnings = self.warnings(scorer, reading, row)
        rejected = next(filter(self._rejected.__contains__, warnings), None)
        fault = _fault(scorer, rejected) if rejected else None
        return Checked(row, warnings, list(changes), fault, reading if changes else None)

    def _changes(
        self, scorer: RegnoScorer, reading: Reading, warnings: Sequence[str]
    ) -> dict[str, str]:
        changes = {}
        for kind, field in map(parts, filter(self._normalised.__contains__, warnings)):
            if kind == LOOKALIKE:
                changes[field] = in_cyrillic(getattr(reading, field))
            elif field in scorer.categories:
                known = respelt(getattr(reading, field), scorer.categories[field])
                changes |= {field: known} if known is not None else {}
        return changes


def _fault(scorer: RegnoScorer, warning: str) -> InvalidRequest:
    """The refusal for a warning: its field, and a reason without the value."""
    kind, about = parts(warning)
    field = field_of(about) if about else NETWORK
    return InvalidRequest(field, _REASONS[kind](scorer, about), _KINDS[kind])


def _unseen(_: RegnoScorer, feature: str) -> str:
    what = "holds a value" if field_of(feature) == feature else f"gives a {feature}"
    return f"{what} that the model never saw"


def _out_of_range(scorer: RegnoScorer, field: str) -> str:
    least, greatest = scorer.bounds[field]
    if field in PLATES:
        return f"has fewer than {least:g} or more than {greatest:g} characters"
    return f"holds a confidence below {least:g} or above {greatest:g}"


def _mismatch(scorer: RegnoScorer, field: str) -> str:
    if field == CHARACTERS:
        return f"must hold one confidence for each character of {NETWORK}"
    return f"must hold {scorer.plate_lengths} confidences, one of them for the length of {NETWORK}"


_REASONS: Final[dict[str, Callable[[RegnoScorer, str], str]]] = {
    UNSEEN: _unseen,
    LOOKALIKE: lambda *_: "holds Latin letters where Cyrillic ones are meant",
    OUT_OF_RANGE: _out_of_range,
    MISMATCH: _mismatch,
    IMPLAUSIBLE: lambda *_: "is before 1990 or after tomorrow",
    AGREE: lambda *_: f"is of the same plate as {CAMERA}",
}
