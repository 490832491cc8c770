"""Explanations: contributions add up to the very score, and their phrases say what they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import NotExplained
from model.regno import Explainer, Explanation, Reading, RegnoScorer
from model.regno.explain.explanation import explain
from model.regno.explain.phrases import phrase
from model.regno.features import CATEGORICAL, NAMES, TEXT
from model.regno.plates import FORMATS, UNKNOWN
from model.regno.request import from_fields
from model.regno.score import Contributions, Score
from tests.support import toys
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import requests
from tests.support.vacuous import nonempty

_SECONDS = 60.0
_READINGS = [from_fields(**line["request"]) for line in lines(GOLDEN)]


@pytest.fixture(scope="module")
def explainer(scorer: RegnoScorer) -> Iterator[Explainer]:
    explainer = scorer.explainer()
    yield explainer
    explainer.close()


def _explained(scorer: RegnoScorer, explainer: Explainer, *readings: Reading) -> list[Explanation]:
    return scorer.explained(scorer.rows(readings), explainer, _SECONDS)


def _assert_adds_up(explanation: Explanation, score: Score) -> None:
    assert (explanation.negative, explanation.positive) == (score.negative, score.positive)
    total = explanation.base + sum(each.contribution for each in explanation.features)
    assert total == pytest.approx(explanation.raw, rel=1e-9, abs=1e-9)
    reached = explanation.base_probability + sum(each.step for each in explanation.features)
    assert reached == pytest.approx(score.positive, abs=1e-9)
    sizes = [abs(each.contribution) for each in explanation.features]
    assert sizes == sorted(sizes, reverse=True)
    for each in explanation.features:
        expected = {1: "network", -1: "camera", 0: "neither"}
        sign = (each.contribution > 0) - (each.contribution < 0)
        assert each.pushes == expected[sign]
        assert each.step * each.contribution >= 0


@settings(max_examples=25)
@given(st.lists(st.one_of(st.sampled_from(_READINGS), requests().map(lambda r: from_fields(**r))),
                min_size=1, max_size=3))  # fmt: skip
def test_contributions_add_up_to_the_score_and_steps_to_the_probability(
    scorer: RegnoScorer, explainer: Explainer, readings: list[Reading]
) -> None:
    result = _explained(scorer, explainer, *readings)
    for explanation, score in zip(nonempty(result), scorer.score(readings), strict=True):
        _assert_adds_up(explanation, score)
        assert {each.feature for each in explanation.features} == set(NAMES)


def test_the_customers_model_is_explained_too(customer_scorer: RegnoScorer) -> None:
    explainer = customer_scorer.explainer()
    try:
        result = _explained(customer_scorer, explainer, *_READINGS[:3])
    finally:
        explainer.close()
    for explanation, score in zip(
        nonempty(result), customer_scorer.score(_READINGS[:3]), strict=True
    ):
        _assert_adds_up(explanation, score)


@pytest.mark.parametrize("start", [False, True])
def test_a_model_that_starts_from_the_average_is_explained(*, start: bool, tmp_path: Path) -> None:
    model = toys.train(NAMES, cat=CATEGORICAL, text=TEXT, boost_from_average=start)
    scorer = RegnoScorer.load(toys.save(model, tmp_path))
    explainer = scorer.explainer()
    try:
        (result,) = _explained(scorer, explainer, _READINGS[0])
    finally:
        explainer.close()
    _assert_adds_up(result, scorer.score(_READINGS[:1])[0])


def test_the_values_are_those_of_the_row_and_the_text_are_plain(
    scorer: RegnoScorer, explainer: Explainer, request_body: dict[str, Any]
) -> None:
    body = {**request_body, "regno_recognize": "А_9", "direction": 1, "recognition_accuracy": 6.4}
    (result,) = _explained(scorer, explainer, from_fields(**body))
    features = {each.feature: each for each in result.features}
    assert features["cam_len"].value == 3
    assert features["foreign_sym"].value is None
    assert features["regno_recognize_text"].value == "А _ 9"
    for feature, message in {
        "cam_len": "the camera's reading has 3 characters: ",
        "regno_template": "the camera's reading fits no known format: ",
        "direction": "the vehicle goes away from the camera: ",
        "recognition_accuracy": "the camera's confidence in its reading is 6.4 %: ",
        "regno_recognize_text": "the characters that the camera read: ",
    }.items():
        assert features[feature].text.startswith(message)
    first = result.features[0]
    assert f"favours the {first.pushes}, {first.contribution:+.3f} " in first.text
    assert result.text.startswith(f"The network is right with {100 * result.positive:.1f} %")
    assert features[first.feature].text.partition(": ")[0] in result.text


def test_no_text_holds_a_plate(scorer: RegnoScorer, explainer: Explainer) -> None:
    checked = 0
    for reading, result in zip(
        _READINGS[:20], _explained(scorer, explainer, *_READINGS[:20]), strict=True
    ):
        message = result.text + "".join(each.text for each in result.features)
        for plate in (reading.regno_recognize, reading.afts_regno_ai):
            if len(plate) < 6:  # of a reading so short any word may have the letters
                continue
            assert plate not in message
            assert " ".join(plate) not in message
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", [UNKNOWN, *(name for name, _ in FORMATS)])
def test_every_format_has_text(name: str) -> None:
    assert phrase("regno_template", name).startswith("the camera's reading ")
    assert phrase("regno_template_ai", name).startswith("the network's reading ")


def test_a_symbol_that_does_not_occur_is_not_called_doubtful() -> None:
    assert phrase("Х", 1) == "the network read no Х, or is quite sure of it"
    assert phrase("Х", 0.25) == "the network's least confidence in a Х is 0.25"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (Contributions(0.5, [0.25], 0.7), "add up"),
        (Contributions(0.5, [0.25], 0.75), "another score"),
        (Contributions(float("nan"), [0.25], 0.75), "add up"),
    ],
)
def test_contributions_that_do_not_add_up_are_not_explained(
    parts: Contributions, reason: str
) -> None:
    with pytest.raises(NotExplained, match=reason):
        explain(["hour"], [12], Score(0.5, 0.5), parts)
