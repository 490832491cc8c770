"""What is told of a score beside it."""

from typing import Any

import pytest

from model.regno import BUNDLED, Costs, Detail, Detailer, Guards, RegnoScorer, Score, Thresholds
from model.regno.catboost_file import BinaryModel
from model.regno.detail import Doubt, LookalikeLetters, OutOfRange, UnseenCategory
from model.regno.request import from_fields
from tests.support.paths import GOLDEN, lines

Fields = dict[str, Any]
_THRESHOLDS = Thresholds(Costs(1.0, 1.0, 0.3))


def _detail(scorer: RegnoScorer, fields: Fields, guards: Guards | None = None) -> Detail:
    detailer = Detailer(_THRESHOLDS, guards or Guards({}))
    return detailer.of(scorer, from_fields(**fields), Score(0.2, 0.8))


def _doubts(scorer: RegnoScorer, fields: Fields, guards: Guards | None = None) -> list[Doubt]:
    return _detail(scorer, fields, guards).warnings


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


def test_a_bare_model_tells_the_nearest_of_those_it_knows(known: Fields) -> None:
    bare = RegnoScorer(BinaryModel.load(BUNDLED))
    assert _doubts(bare, known) == []
    doubts = _doubts(bare, {**known, "camera_class": "стрелка-м"})
    assert doubts == [UnseenCategory("camera_class", "camera_class", "Стрелка-М", normalised=False)]


def test_each_plate_with_lookalikes_is_told(scorer: RegnoScorer, known: Fields) -> None:
    latin = {"regno_recognize": "A939HO196", "afts_regno_ai": "А939HО190"}
    assert _doubts(scorer, known | latin) == [
        LookalikeLetters("regno_recognize", normalised=False),
        LookalikeLetters("afts_regno_ai", normalised=False),
    ]


def test_what_a_guard_put_right_is_told_as_such(scorer: RegnoScorer, known: Fields) -> None:
    guards = Guards({"camera_class": "normalise", "regno_recognize": "normalise"})
    fields = {**known, "camera_class": "стрелка", "regno_recognize": "A939HO196"}
    assert _doubts(scorer, fields, guards) == [
        UnseenCategory("camera_class", "camera_class", "Стрелка", normalised=True),
        LookalikeLetters("regno_recognize", normalised=True),
    ]


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        (
            {"afts_regno_ai_char_scores": [0.9, 1.5]},
            OutOfRange("afts_regno_ai_char_scores", "max_sym_score", 0.0, 1.0),
        ),
        (
            {"afts_regno_ai_char_scores": [0.9, -0.1]},
            OutOfRange("afts_regno_ai_char_scores", "min_sym_score", 0.0, 1.0),
        ),
        (
            {"afts_regno_ai_length_scores": [99.0]},
            OutOfRange("afts_regno_ai_length_scores", "max_len_score", 0.0, 1.0),
        ),
        ({"regno_recognize": "А93"}, OutOfRange("regno_recognize", "cam_len", 6.0, 11.0)),
        ({"afts_regno_ai": "А" * 12}, OutOfRange("afts_regno_ai", "ai_len", 6.0, 11.0)),
    ],
)
def test_a_number_beyond_what_the_model_can_know_is_told_once_for_its_field(
    change: Fields, doubt: OutOfRange, scorer: RegnoScorer, known: Fields
) -> None:
    assert _doubts(scorer, known | change) == [doubt]


def test_single_precision_and_empty_lists_are_within_range(
    scorer: RegnoScorer, known: Fields
) -> None:
    for scores in ([], [1.0000001], [0.0, 1.0]):
        assert _doubts(scorer, {**known, "afts_regno_ai_char_scores": scores}) == []


def test_a_model_that_splits_beyond_the_usual_was_trained_on_more(scorer: RegnoScorer) -> None:
    for _, feature, least, greatest in scorer.ranges:
        borders = BinaryModel.load(BUNDLED).borders()[feature]
        assert least <= borders[0]
        assert borders[-1] <= greatest


def test_a_number_that_no_tree_splits_on_is_not_told(customer_scorer: RegnoScorer) -> None:
    told = {feature for _, feature, _, _ in customer_scorer.ranges}
    assert "3" not in told
    assert {"max_sym_score", "ai_len", "7"} <= told


def test_the_requests_of_the_contract_leave_little_to_be_doubted(scorer: RegnoScorer) -> None:
    requests = [line["request"] for line in lines(GOLDEN)]
    usual = [r for r in requests if not _doubts(scorer, r)]
    assert len(usual) > len(requests) / 3
