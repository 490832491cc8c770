"""What else there is to tell of a score: whose reading to take, how clearly, and what to doubt."""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from model.regno import ranges
from model.regno.decision import Decision, Thresholds
from model.regno.features import field_of
from model.regno.guards import Checked, Guards
from model.regno.request import Reading
from model.regno.scorer import RegnoScorer, Score
from model.regno.spelling import nearest


class UnseenCategory(Struct, frozen=True, tag_field="kind", tag="unseen-category"):
    """A categorical feature, made of a field, has a value that the model never saw.

    `nearest` is the known value most like what was sent, null if none is, or if the feature is
    computed; `normalised` whether that was scored instead.
    """

    field: str
    feature: str
    nearest: str | None
    normalised: bool


class LookalikeLetters(Struct, frozen=True, tag_field="kind", tag="lookalike-letters"):
    """A plate has Latin letters where Cyrillic ones are meant.

    `normalised` tells whether the Cyrillic ones were scored instead.
    """

    field: str
    normalised: bool


class OutOfRange(Struct, frozen=True, tag_field="kind", tag="out-of-range"):
    """A numeric feature, made of a field, is outside of what the model can have learnt from."""

    field: str
    feature: str
    least: float
    greatest: float


Doubt: TypeAlias = UnseenCategory | LookalikeLetters | OutOfRange


class Detail(Score):
    """A score, the decision that costs least by it, and what makes it doubtful.

    `margin` is how far `positive` is from the nearest threshold of the decision; `model` the
    version that scored.
    """

    decision: Decision
    margin: float
    warnings: list[Doubt]
    model: str


class Detailer:
    """Makes details of scores, by thresholds and by the guards that the rows went through."""

    def __init__(self, thresholds: Thresholds, guards: Guards) -> None:
        self._thresholds = thresholds
        self._guards = guards

    def of(self, scorer: RegnoScorer, reading: Reading, score: Score) -> Detail:
        """The detail of the score that a reading, as it was sent, got."""
        positive = score.positive
        return Detail(
            score.negative,
            positive,
            self._thresholds.decide(positive),
            self._thresholds.margin(positive),
            list(self._doubts(scorer, reading)),
            scorer.version,
        )

    def _doubts(self, scorer: RegnoScorer, reading: Reading) -> Iterator[Doubt]:
        row = scorer.row(reading)
        sent = checked = Checked(row, scorer.unseen(row), scorer.lookalikes(reading))
        if sent.unseen or sent.lookalikes:
            checked = self._guards.settle(scorer, reading, sent)
        for feature in sent.unseen:
            yield _unseen(scorer, reading, feature, normalised=feature not in checked.unseen)
        for field in sent.lookalikes:
            yield LookalikeLetters(field, normalised=field not in checked.lookalikes)
        yield from _beyond(scorer, checked)


def _unseen(
    scorer: RegnoScorer, reading: Reading, feature: str, *, normalised: bool
) -> UnseenCategory:
    known = scorer.categories.get(feature)
    like = nearest(getattr(reading, feature), known) if known else None
    return UnseenCategory(field_of(feature), feature, like, normalised)


def _beyond(scorer: RegnoScorer, checked: Checked) -> Iterator[OutOfRange]:
    """One for each field: many features are made of the same confidences."""
    told = set()
    for index, feature, least, greatest in scorer.ranges:
        field = field_of(feature)
        value = checked.row[index]
        if field not in told and ranges.is_beyond(float(value), least, greatest):
            told.add(field)
            yield OutOfRange(field, feature, least, greatest)
