"""The detail of a score: which reading to take, with what margin, and what makes it doubtful."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from model.regno.doubts.finder import (
    AGREE,
    CAMERA,
    CHARACTERS,
    IMPLAUSIBLE,
    LENGTHS,
    LOOKALIKE,
    MISMATCH,
    NETWORK,
    OUT_OF_RANGE,
    UNSEEN,
    parts,
)
from model.regno.features import field_of
from model.regno.request import Reading
from model.regno.review.decision import Decision, ThresholdChoice
from model.regno.review.guards import Guards, Policy
from model.regno.review.spelling import nearest
from model.regno.score import Score
from model.regno.scorer import RegnoScorer


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

    `normalised` says whether the Cyrillic ones were scored instead.
    """

    field: str
    normalised: bool


class OutOfRange(Struct, frozen=True, tag_field="kind", tag="out-of-range"):
    """A field holds a number, or is of a length, outside of what it can mean to the model.

    `feature` is one that is made of the field.
    """

    field: str
    feature: str
    least: float
    greatest: float


class LengthMismatch(Struct, frozen=True, tag_field="kind", tag="length-mismatch"):
    """A list holds `confidences` numbers, where the network's reading wants `expected`."""

    field: str
    confidences: int
    expected: int


class ImplausibleTime(Struct, frozen=True, tag_field="kind", tag="implausible-time"):
    """A time is before 1990 or after tomorrow: a placeholder, or of a wrong clock."""

    field: str


class ReadingsAgree(Struct, frozen=True, tag_field="kind", tag="readings-agree"):
    """Both readings are of one plate, case, blanks and look-alike letters aside."""


Doubt: TypeAlias = (
    UnseenCategory
    | LookalikeLetters
    | OutOfRange
    | LengthMismatch
    | ImplausibleTime
    | ReadingsAgree
)


class Detail(Score):
    """A score, the decision by it, and what makes it doubtful.

    `margin` is how far `positive` is from the nearest threshold of the decision; `model` the
    version that scored.
    """

    decision: Decision
    margin: float
    warnings: list[Doubt]
    model: str


class Reviewer(Guards):
    """Guards readings, and makes details of the scores that they got."""

    def __init__(self, policies: Mapping[str, Policy], thresholds: ThresholdChoice) -> None:
        """`policies` are those of warnings by their names."""
        super().__init__(policies)
        self._thresholds = thresholds

    def detail(self, scorer: RegnoScorer, reading: Reading, score: Score) -> Detail:
        """The score of a reading, as it was sent, with decision, margin, warnings and version."""
        positive, thresholds = score.positive, self._thresholds.of(scorer.manifest)
        return Detail(
            score.negative,
            positive,
            thresholds.decide(positive),
            thresholds.margin(positive),
            list(self._doubts(scorer, reading)),
            scorer.version,
        )

    def _doubts(self, scorer: RegnoScorer, reading: Reading) -> Iterator[Doubt]:
        row = scorer.row(reading)
        sent = self.warnings(scorer, reading, row)
        left = self.settle(scorer, reading, row, sent).warnings if sent else ()
        for warning in dict.fromkeys((*sent, *left)):
            kind, about = parts(warning)
            yield _DOUBTS[kind](_Case(scorer, reading, about, warning not in left))


class _Case(NamedTuple):
    """A warning of a reading as it was sent; `about` is the feature or field that it names."""

    scorer: RegnoScorer
    reading: Reading
    about: str
    normalised: bool


def _unseen(case: _Case) -> Doubt:
    feature = case.about
    known = case.scorer.categories.get(feature)
    like = nearest(getattr(case.reading, feature), known) if known else None
    return UnseenCategory(field_of(feature), feature, like, case.normalised)


# The features that show a field below its range, and above it.
_MEASURES: Final = {
    CHARACTERS: ("min_sym_score", "max_sym_score"),
    LENGTHS: ("max_len_score", "max_len_score"),
    CAMERA: ("cam_len", "cam_len"),
    NETWORK: ("ai_len", "ai_len"),
}


def _out_of_range(case: _Case) -> Doubt:
    field, bounds = case.about, case.scorer.bounds[case.about]
    value = getattr(case.reading, field)
    greatest = len(value) if isinstance(value, str) else max(value)
    below, above = _MEASURES[field]
    feature = above if greatest > bounds.with_a_hair().greatest else below
    return OutOfRange(field, feature, *bounds)


def _mismatch(case: _Case) -> Doubt:
    confidences, characters = getattr(case.reading, case.about), len(case.reading.afts_regno_ai)
    expected = characters if case.about == CHARACTERS else case.scorer.plate_lengths
    if len(confidences) == expected:  # but none of them is for a reading as long as this
        expected = characters + 1
    return LengthMismatch(case.about, len(confidences), expected)


_DOUBTS: Final[dict[str, Callable[[_Case], Doubt]]] = {
    UNSEEN: _unseen,
    LOOKALIKE: lambda case: LookalikeLetters(case.about, case.normalised),
    OUT_OF_RANGE: _out_of_range,
    MISMATCH: _mismatch,
    IMPLAUSIBLE: lambda case: ImplausibleTime(case.about),
    AGREE: lambda _: ReadingsAgree(),
}
