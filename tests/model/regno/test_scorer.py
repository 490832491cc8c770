"""One call scores one request or many, for any model whose features the contract knows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import ModelRefused
from model.regno import BUNDLED, Reading, RegnoScorer, Score
from model.regno.features import CATEGORICAL, NAMES, NUMERIC, TEXT
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import from_fields
from tests.support import toys
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import requests
from tests.support.vacuous import nonempty

_CLOSE = 1e-12


def _golden() -> list[Reading]:
    return [from_fields(**line["request"]) for line in lines(GOLDEN)]


@pytest.mark.parametrize(
    ("names", "cat", "text"),
    [
        (("hour",), (), ()),
        (("hour",), ("hour",), ()),
        (("camera_class",), ("camera_class",), ()),
        (("Х", "hour", "foreign_sym", "0", "ai_len"), (), ()),
        (("month", "Х", "camera_class", "D", "weekday"), ("camera_class", "month", "weekday"), ()),
        (("regno_recognize_text", "hour", "direction"), ("direction",), ("regno_recognize_text",)),
        (NAMES, CATEGORICAL, TEXT),
        (NAMES[::-1], (*CATEGORICAL, "hour"), TEXT),
    ],
    ids=["one", "one category", "hour as category", "numbers", "mixed", "text", "all", "reversed"],
)
def test_any_selection_in_any_order_scores_as_catboost_does_with_the_golden_features(
    names: Sequence[str], cat: Sequence[str], text: Sequence[str], tmp_path: Path
) -> None:
    model = toys.train(names, cat=cat, text=text)
    scorer = RegnoScorer.load(str(toys.save(model, tmp_path)))  # a notebook's path is a text
    expected = model.predict(toys.pool(names, cat, text), prediction_type="Probability").tolist()
    scores = scorer.score(_golden())
    assert [[score.negative, score.positive] for score in scores] == expected
    assert len({score.positive for score in scores}) > 1


def test_a_model_declares_its_own_kinds_of_features(tmp_path: Path) -> None:
    names = ("month", "hour", "afts_regno_ai_text")
    model = toys.train(names, cat=("month", "hour"), text=("afts_regno_ai_text",))
    loaded = BinaryModel.load(toys.save(model, tmp_path))
    assert loaded.features == [
        ("month", "categorical"),
        ("hour", "categorical"),
        ("afts_regno_ai_text", "text"),
    ]


def test_the_bundled_model_scores_its_golden_rows_as_its_manifest_says(scorer: RegnoScorer) -> None:
    assert scorer.manifest
    assert len(scorer.manifest.golden) == 16
    readings = [from_fields(**row) for row in lines(BUNDLED.with_name("golden.jsonl"))]
    positive = [score.positive for score in scorer.score(readings)]
    assert positive == pytest.approx(scorer.manifest.golden, abs=_CLOSE, rel=0)


def test_the_bundled_model_has_all_41_features_of_the_contract(scorer: RegnoScorer) -> None:
    assert scorer.manifest
    kinds = {feature.name: feature.kind for feature in scorer.manifest.features}
    wanted = {"numeric": NUMERIC, "categorical": CATEGORICAL, "text": TEXT}
    assert kinds == {name: kind for kind, names in wanted.items() for name in names}
    assert set(scorer.manifest.vocabularies) == set(CATEGORICAL)
    assert BinaryModel.load(BUNDLED).features == list(kinds.items())


def test_a_score_and_its_complement_are_probabilities(scorer: RegnoScorer) -> None:
    scores = scorer.score(_golden())
    assert all(0 < score.positive < 1 for score in scores)
    assert all(abs(score.positive + score.negative - 1) < _CLOSE for score in scores)
    assert len({score.positive for score in scores}) > 250


def test_no_requests_have_no_scores(scorer: RegnoScorer) -> None:
    assert scorer.score([]) == []


@settings(max_examples=50)
@given(st.lists(requests(), max_size=12))
def test_a_batch_is_its_single_scores(batch: list[dict[str, Any]]) -> None:
    scorer = RegnoScorer.load()
    readings = [from_fields(**request) for request in batch]
    singles = [scorer.score([reading])[0] for reading in readings]
    assert scorer.score(readings) == singles


def test_a_batch_of_all_golden_rows_is_its_single_scores(scorer: RegnoScorer) -> None:
    readings = _golden()
    assert scorer.score(readings) == [scorer.score([reading])[0] for reading in readings]
    assert scorer.score(readings[::-1]) == scorer.score(readings)[::-1]


def test_the_customers_model_gives_the_customers_probabilities(
    customer_scorer: RegnoScorer, conformance: list[dict[str, Any]]
) -> None:
    readings = [from_fields(**line["request"]) for line in conformance]
    batch = customer_scorer.score(readings)
    for number, (reading, score, line) in enumerate(
        zip(readings, batch, nonempty(conformance), strict=True)
    ):
        for each in (score, *customer_scorer.score([reading])):
            assert abs(each.negative - line["body"]["negative"]) <= _CLOSE, number
            assert abs(each.positive - line["body"]["positive"]) <= _CLOSE, number


def test_the_customers_requests_may_come_as_text_all_through(
    customer_scorer: RegnoScorer, conformance: list[dict[str, Any]]
) -> None:
    decode = customer_scorer.decoder(1000)
    texts = [
        json.dumps({name: _as_text(value) for name, value in line["request"].items()})
        for line in conformance
    ]
    readings = decode(json.dumps(texts).encode())
    assert isinstance(readings, list)
    scores = customer_scorer.score([row for row in readings if isinstance(row, Reading)])
    expected = [line["body"]["positive"] for line in conformance]
    assert [score.positive for score in scores] == pytest.approx(expected, abs=_CLOSE, rel=0)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_every_category_of_the_customers_rows_is_known_to_the_customers_model(
    customer_scorer: RegnoScorer, customer: Path
) -> None:
    requests = [line["request"] for line in lines(customer / "conformance" / "customer.jsonl")]
    readings = [from_fields(**request) for request in requests]
    assert [customer_scorer.unseen(row) for row in customer_scorer.rows(readings)] == [[]] * 100


@pytest.mark.parametrize("field", ["camera_class", "camera_type"])
@pytest.mark.parametrize("value", ["", "Астра", "unknown", "астра-трафик", "стационарная"])
def test_a_model_without_a_manifest_recognises_an_unseen_category(
    field: str, value: str, customer_scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    row = customer_scorer.row(from_fields(**{**request_body, field: value}))
    assert customer_scorer.unseen(row) == [field]
    assert customer_scorer.unseen(row) == [field], "a second look says the same"


@pytest.mark.parametrize("field", ["camera_class", "camera_type"])
def test_the_bundled_model_recognises_an_unseen_category(
    field: str, scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    row = scorer.row(from_fields(**{**request_body, field: "Астра-трафик"}))
    assert field in scorer.unseen(row)


def test_the_bundled_model_knows_its_own_golden_categories(scorer: RegnoScorer) -> None:
    golden = [from_fields(**row) for row in lines(BUNDLED.with_name("golden.jsonl"))]
    assert [scorer.unseen(row) for row in scorer.rows(golden)] == [[]] * len(golden)


def test_a_warm_scorer_still_scores_and_a_false_manifest_is_refused(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    assert scorer.manifest
    scorer.warm()
    manifest = type(scorer.manifest)(**{**_fields(scorer.manifest), "golden": [0.123456]})
    forged = RegnoScorer(BinaryModel.load(BUNDLED), manifest)
    with pytest.raises(ModelRefused, match="golden row 0 scores"):
        forged.warm()
    (score,) = scorer.score([from_fields(**request_body)])
    assert isinstance(score, Score)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
