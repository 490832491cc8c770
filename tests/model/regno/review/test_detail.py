"""The details of a score."""

from typing import Any

import pytest

from model.regno import (
    BUNDLED,
    Costs,
    Detail,
    RegnoScorer,
    Score,
    ThresholdChoice,
)
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import from_fields
from model.regno.review.detail import (
    Doubt,
    ImplausibleTime,
    LengthMismatch,
    LookalikeLetters,
    OutOfRange,
    ReadingsAgree,
    Reviewer,
    UnseenCategory,
)
from model.regno.review.guards import Policy
from tests.support import toys
from tests.support.paths import GOLDEN, lines

Fields = dict[str, Any]
Policies = dict[str, Policy]
_THRESHOLDS = ThresholdChoice(Costs(1.0, 1.0, 0.3))


def _detail(scorer: RegnoScorer, fields: Fields, policies: Policies | None = None) -> Detail:
    reviewer = Reviewer(policies or {}, _THRESHOLDS)
    return reviewer.detail(scorer, from_fields(**fields), Score(0.2, 0.8))


def _doubts(scorer: RegnoScorer, fields: Fields, policies: Policies | None = None) -> list[Doubt]:
    return _detail(scorer, fields, policies).warnings


@pytest.fixture
def known(request_body: Fields) -> Fields:
    """A request that leaves nothing to be doubted."""
    return {**request_body, "camera_class": "Стрелка", "camera_type": "Передвижная"}


def test_a_detail_is_the_score_and_more(scorer: RegnoScorer, known: Fields) -> None:
    detail = _detail(scorer, known)
    assert (detail.negative, detail.positive) == (0.2, 0.8)
    assert detail.decision == "network"
    assert detail.margin == pytest.approx(0.1)
    assert detail.warnings == []
    assert detail.model == scorer.version


@pytest.mark.parametrize(
    ("value", "nearest"),
    [("астра-трафик", "Астра-Трафик"), ("Форсажь", "Форсаж"), ("Камера", None)],
)
def test_an_unseen_category_comes_with_the_nearest_known_one(
    value: str, nearest: str | None, scorer: RegnoScorer, known: Fields
) -> None:
    doubts = _doubts(scorer, {**known, "camera_class": value})
    assert doubts == [UnseenCategory("camera_class", "camera_class", nearest, normalised=False)]


def test_a_bare_model_reports_the_nearest_of_those_it_knows(known: Fields) -> None:
    bare = RegnoScorer(BinaryModel.load(BUNDLED))
    assert _doubts(bare, known) == []
    doubts = _doubts(bare, {**known, "camera_class": "стрелка-м"})
    assert doubts == [UnseenCategory("camera_class", "camera_class", "Стрелка-М", normalised=False)]


def test_each_plate_with_lookalikes_is_reported(scorer: RegnoScorer, known: Fields) -> None:
    latin = {"regno_recognize": "A939HO196", "afts_regno_ai": "А939HО190"}
    assert _doubts(scorer, {**known, **latin, "afts_regno_ai_char_scores": [0.9] * 9}) == [
        LookalikeLetters("regno_recognize", normalised=False),
        LookalikeLetters("afts_regno_ai", normalised=False),
    ]


def test_a_value_that_a_guard_normalised_is_reported_as_such(
    scorer: RegnoScorer, known: Fields
) -> None:
    policies: Policies = {
        "unseen-category:camera_class": "normalise",
        "lookalike-letters:regno_recognize": "normalise",
    }
    fields = {**known, "camera_class": "стрелка", "regno_recognize": "A939HO196"}
    assert _doubts(scorer, fields, policies) == [
        UnseenCategory("camera_class", "camera_class", "Стрелка", normalised=True),
        LookalikeLetters("regno_recognize", normalised=True),
    ]


_CHARACTERS, _LENGTHS = "afts_regno_ai_char_scores", "afts_regno_ai_length_scores"


@pytest.mark.parametrize(
    ("change", "doubts"),
    [
        (
            {_CHARACTERS: [0.9] * 7 + [1.5]},
            [OutOfRange(_CHARACTERS, "max_sym_score", 0.0, 1.0)],
        ),
        (
            {_CHARACTERS: [0.9] * 7 + [-0.1]},
            [OutOfRange(_CHARACTERS, "min_sym_score", 0.0, 1.0)],
        ),
        (
            {_LENGTHS: [*[0.0] * 10, 99.0]},
            [OutOfRange(_LENGTHS, "max_len_score", 0.0, 1.0)],
        ),
        # Which no feature sees.
        (
            {_LENGTHS: [-0.5, *[0.0] * 9, 1.0]},
            [OutOfRange(_LENGTHS, "max_len_score", 0.0, 1.0)],
        ),
        (
            {_CHARACTERS: "[0,99, 0,98, 0,97]"},
            [
                OutOfRange(_CHARACTERS, "max_sym_score", 0.0, 1.0),
                LengthMismatch(_CHARACTERS, confidences=6, expected=8),
            ],
        ),
        ({_CHARACTERS: [0.9] * 7}, [LengthMismatch(_CHARACTERS, confidences=7, expected=8)]),
        ({_LENGTHS: [0.1] * 12}, [LengthMismatch(_LENGTHS, confidences=12, expected=11)]),
        (
            {"afts_regno_ai": "С" * 11, _CHARACTERS: [0.9] * 11},
            [LengthMismatch(_LENGTHS, confidences=11, expected=12)],
        ),
        (
            {"afts_regno_ai": "С" * 11, _CHARACTERS: [0.9] * 11, _LENGTHS: [0.1] * 12},
            [LengthMismatch(_LENGTHS, confidences=12, expected=11)],
        ),
        ({"regno_recognize": "А93"}, [OutOfRange("regno_recognize", "cam_len", 6.0, 11.0)]),
        (
            {"afts_regno_ai": "С" * 12, _CHARACTERS: [], _LENGTHS: []},
            [OutOfRange("afts_regno_ai", "ai_len", 6.0, 11.0)],
        ),
        ({"time_check": "1970-01-01"}, [ImplausibleTime("time_check")]),
        ({"regno_recognize": "ск016613"}, [ReadingsAgree()]),
    ],
)
def test_each_kind_says_what_there_is_to_say(
    change: Fields, doubts: list[Doubt], scorer: RegnoScorer, known: Fields
) -> None:
    assert _doubts(scorer, known | change) == doubts


def _toy(*names: str) -> RegnoScorer:
    return RegnoScorer(BinaryModel(toys.train(names)))


def test_a_model_that_splits_beyond_the_lengths_of_plates_was_trained_on_such_readings() -> None:
    least, greatest = _toy("cam_len").bounds["regno_recognize"]
    borders = BinaryModel(toys.train(["cam_len"])).borders()["cam_len"]
    assert borders[0] < 6
    assert (least, greatest) == (borders[0], max(11.0, borders[-1]))


def test_the_length_of_a_reading_is_no_matter_to_a_model_that_does_not_use_it(
    known: Fields,
) -> None:
    toy = _toy("afts_regno_ai_score")
    assert _doubts(toy, {**known, "regno_recognize": "А"}) == []
    beyond = {**known, _CHARACTERS: [0.9] * 7 + [9.0]}
    assert _doubts(toy, beyond) == [OutOfRange(_CHARACTERS, "max_sym_score", 0.0, 1.0)]


def test_warnings_that_a_guard_causes_are_reported_too(known: Fields) -> None:
    """A plate that was put right is of a format, which the manifest of this model does not list."""
    scorer = RegnoScorer.load()
    assert scorer.manifest
    scorer.manifest.vocabularies["regno_template"] = ["unknown"]
    policies: Policies = {"lookalike-letters:regno_recognize": "normalise"}
    assert _doubts(scorer, {**known, "regno_recognize": "A939HO196"}, policies) == [
        LookalikeLetters("regno_recognize", normalised=True),
        UnseenCategory("regno_recognize", "regno_template", None, normalised=False),
    ]


def test_of_the_requests_of_the_contract_these_leave_nothing_to_be_doubted(
    scorer: RegnoScorer,
) -> None:
    requests = [line["request"] for line in lines(GOLDEN)]
    assert sum(not _doubts(scorer, request) for request in requests) == 54
