"""`pick_regno` with the customer's signature, for a notebook."""

import inspect
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoost

from model import InvalidRequest, ModelRefused
from model.regno import BUNDLED, RegnoScorer, pick_regno
from model.regno.request import from_fields
from tests.support import toys
from tests.support.messages import stating
from tests.support.vacuous import nonempty

_ARGUMENTS = {
    "camera_regno": "regno_recognize",
    "nn_regno": "afts_regno_ai",
    "camera_score": "recognition_accuracy",
    "nn_score": "afts_regno_ai_score",
    "nn_sym_scores": "afts_regno_ai_char_scores",
    "nn_len_scores": "afts_regno_ai_length_scores",
    "camera_type": "camera_type",
    "camera_class": "camera_class",
    "time_check": "time_check",
    "direction": "direction",
}


def _pick(request: dict[str, Any], model: Any) -> dict[str, float]:
    arguments = [request[field] for field in _ARGUMENTS.values()]
    return pick_regno(*arguments, model)  # type: ignore[call-arg]  # ten of them


def test_the_signature_is_the_customers() -> None:
    *customers, own = inspect.signature(pick_regno).parameters.values()
    assert [parameter.name for parameter in customers] == [*_ARGUMENTS, "model"]
    assert (own.name, own.default) == ("positive_class", "")


def test_a_scorer_a_catboost_model_and_a_path_give_the_same(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    (score,) = scorer.score([from_fields(**request_body)])
    expected = {"negative": score.negative, "positive": score.positive}
    loaded = CatBoost().load_model(str(BUNDLED))
    for model in (scorer, loaded, BUNDLED, str(BUNDLED)):
        assert _pick(request_body, model) == expected


def test_the_customers_rows_give_the_customers_probabilities(
    customer_model: Path, conformance: list[dict[str, Any]]
) -> None:
    model = CatBoost().load_model(str(customer_model))
    for line in nonempty(conformance[:20]):
        result = _pick(line["request"], model)
        assert result == pytest.approx(line["body"], abs=1e-12, rel=0)


def test_arguments_may_be_named_and_lists_may_be_lists(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    named = {name: request_body[field] for name, field in _ARGUMENTS.items()}
    as_text = {**named, "nn_sym_scores": "[0.5, 0.25]", "camera_score": "6.5", "direction": "1"}
    as_values = {**named, "nn_sym_scores": [0.5, 0.25], "camera_score": 6.5, "direction": 1}
    assert pick_regno(**as_text, model=scorer) == pick_regno(**as_values, model=scorer)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("time_check", "yesterday"),
        ("nn_score", 1.5),
        ("nn_score", float("nan")),
        ("camera_score", float("inf")),
        ("nn_sym_scores", [float("nan")]),
        ("nn_len_scores", [float("inf")]),
        ("nn_sym_scores", "0.5"),
        ("direction", 3),
        ("camera_regno", None),
    ],
)
def test_a_bad_argument_is_refused_by_the_name_of_its_field(
    argument: str, value: object, scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    named = {name: request_body[field] for name, field in _ARGUMENTS.items()}
    with pytest.raises(InvalidRequest) as caught:
        pick_regno(**{**named, argument: value}, model=scorer)
    assert caught.value.field == _ARGUMENTS[argument]


def test_a_model_of_another_kind_is_refused(request_body: dict[str, Any]) -> None:
    regression = toys.train(toys.NUMERIC_PAIR, loss_function="RMSE")
    with pytest.raises(ModelRefused, match="no classifier"):
        _pick(request_body, regression)
    with pytest.raises(ModelRefused, match=r"none\.cbm is refused"):
        _pick(request_body, "none.cbm")


def test_values_of_numpy_and_pandas_are_what_they_hold(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    scores = np.array(json.loads(request_body["afts_regno_ai_char_scores"]))
    held = {
        **request_body,
        "recognition_accuracy": np.float64(request_body["recognition_accuracy"]),
        "direction": np.int64(request_body["direction"]),
        "afts_regno_ai_char_scores": scores,
        "time_check": pd.Timestamp(request_body["time_check"]),
    }
    assert _pick(held, scorer) == _pick(request_body, scorer)


@pytest.mark.parametrize("hold", [pd.Series, pd.Index, np.array, tuple, pd.array])
def test_a_list_may_be_of_any_kind(
    hold: Callable[[list[float]], Any], scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    scores = json.loads(request_body["afts_regno_ai_char_scores"])
    held = {**request_body, "afts_regno_ai_char_scores": hold(scores)}
    assert _pick(held, scorer) == _pick(request_body, scorer)


@pytest.mark.parametrize(
    "hold",
    [
        pd.Timestamp,
        datetime.fromisoformat,
        np.datetime64,
        *(lambda text, unit=unit: np.datetime64(text, unit) for unit in ("s", "ms", "us", "ns")),
    ],
)
def test_a_time_may_be_of_any_kind(
    hold: Callable[[str], Any], scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    held = {**request_body, "time_check": hold(request_body["time_check"])}
    assert _pick(held, scorer) == _pick(request_body, scorer)


def test_a_date_alone_is_its_midnight(scorer: RegnoScorer, request_body: dict[str, Any]) -> None:
    for day in (date(2021, 8, 1), np.datetime64("2021-08-01")):
        held = {**request_body, "time_check": day}
        assert _pick(held, scorer) == _pick({**held, "time_check": "2021-08-01"}, scorer)


@pytest.mark.parametrize("missing", [pd.NaT, np.datetime64("NaT"), pd.NA, None])
def test_a_missing_time_is_refused(
    missing: object, scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _pick({**request_body, "time_check": missing}, scorer)
    assert caught.value.field == "time_check"


@pytest.mark.parametrize("given", [-1, 1, None, np.int64(1)])
def test_a_positive_class_that_is_no_text_is_refused(
    given: Any, request_body: dict[str, Any]
) -> None:
    named = {name: request_body[field] for name, field in _ARGUMENTS.items()}
    for model in (BUNDLED, CatBoost().load_model(str(BUNDLED))):
        with pytest.raises(ModelRefused, match=stating("positive_class", "text")):
            pick_regno(**named, model=model, positive_class=given)


def test_an_untrained_model_is_refused(request_body: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused, match="not trained"):
        _pick(request_body, CatBoost())
