"""The 41 features are exactly those of the contract's reference."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import pytest
from hypothesis import given

from model import ModelRefused
from model.regno import RegnoScorer
from model.regno.features import NAMES, SYMBOLS, all_features, in_order_of
from model.regno.request import Reading, from_fields
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import requests


def _named(request: dict[str, Any]) -> dict[str, Any]:
    values = dict(zip(NAMES, all_features(from_fields(**request)), strict=True))
    return {name: _null_if_missing(value) for name, value in values.items()}


def _null_if_missing(value: object) -> object:
    return None if isinstance(value, float) and isnan(value) else value


def _with(**changed: object) -> dict[str, Any]:
    return _named({**lines(GOLDEN)[0]["request"], **changed})


@pytest.mark.parametrize("line", lines(GOLDEN), ids=[str(number) for number in range(300)])
def test_golden_features_are_equal_to_the_last_bit(line: dict[str, Any]) -> None:
    assert _named(line["request"]) == line["features"]


def test_there_are_three_hundred_golden_rows_of_41_features_each() -> None:
    golden = lines(GOLDEN)
    assert len(golden) == 300
    assert {len(line["features"]) for line in golden} == {len(NAMES)} == {41}


def test_all_conformance_features_are_equal_to_the_last_bit(
    conformance: list[dict[str, Any]],
) -> None:
    assert len(conformance) == 400
    for number, line in enumerate(conformance):
        assert _named(line["request"]) == line["features"], number


def test_an_empty_list_counts_as_a_single_zero() -> None:
    features = _with(afts_regno_ai_char_scores=[], afts_regno_ai_length_scores="[]")
    assert features["max_sym_score"] == features["min_sym_score"] == 0
    assert features["max_len_score"] == 0


def test_with_an_empty_list_the_first_symbol_is_paired_with_zero_like_the_customers() -> None:
    features = _with(afts_regno_ai="А1А", afts_regno_ai_char_scores=[])
    assert (features["А"], features["1"]) == (0, 1)


def test_a_symbol_keeps_its_least_score() -> None:
    features = _with(afts_regno_ai="А1А", afts_regno_ai_char_scores=[0.5, 0.75, 0.25])
    assert (features["А"], features["1"], features["В"]) == (0.25, 0.75, 1)


def test_symbols_beyond_the_scores_count_as_absent() -> None:
    features = _with(afts_regno_ai="А1В", afts_regno_ai_char_scores=[0.5])
    assert (features["А"], features["1"], features["В"]) == (0.5, 1, 1)


def test_scores_beyond_the_symbols_count_for_greatest_and_least_only() -> None:
    features = _with(afts_regno_ai="А", afts_regno_ai_char_scores=[0.5, 0.1, 0.9])
    assert (features["min_sym_score"], features["max_sym_score"]) == (0.1, 0.9)
    assert [features[symbol] for symbol in SYMBOLS if symbol != "А"] == [1] * 22


def test_latin_look_alikes_are_other_symbols() -> None:
    features = _with(afts_regno_ai="AКD", afts_regno_ai_char_scores=[0.1, 0.2, 0.3])
    assert (features["А"], features["К"], features["D"]) == (1, 0.2, 0.3)


def test_texts_have_one_space_between_characters() -> None:
    features = _with(regno_recognize="А1_", afts_regno_ai="")
    assert (features["regno_recognize_text"], features["afts_regno_ai_text"]) == ("А 1 _", "")


@given(requests())
def test_features_never_raise_on_a_valid_request(request: dict[str, Any]) -> None:
    features = _named(request)
    assert tuple(features) == NAMES
    assert features["cam_len"] == len(request["regno_recognize"])
    assert features["hour"] in range(24)


@given(requests())
def test_the_bundled_row_is_the_named_features_in_the_models_order(
    request: dict[str, Any],
) -> None:
    scorer = RegnoScorer.load()
    assert scorer.manifest
    order = [feature.name for feature in scorer.manifest.features]
    row = map(_null_if_missing, scorer.row(from_fields(**request)))
    assert dict(zip(order, row, strict=True)) == _named(request)


@pytest.mark.parametrize("names", [("hour",), ("Х", "month", "0"), NAMES[::-1]])
def test_rows_follow_the_order_that_is_wanted(names: Sequence[str]) -> None:
    request = lines(GOLDEN)[7]["request"]
    reading: Reading = from_fields(**request)
    row = list(map(_null_if_missing, in_order_of(names)(reading)))
    assert row == [_named(request)[name] for name in names]


def test_every_unknown_name_is_reported() -> None:
    with pytest.raises(ModelRefused, match=r"unknown features: speed, A$"):
        in_order_of(["hour", "speed", "A"])
