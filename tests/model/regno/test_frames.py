"""DataFrames in, scores, features and explanations out, as the service has them."""

import io
from collections.abc import Callable, Mapping, Sequence
from math import exp, isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoost, Pool
from flask.testing import FlaskClient

from model import ModelRefused
from model.registry import Refused
from model.regno import BUNDLED, RegnoScorer
from model.regno.features import NAMES, all_features
from model.regno.request import FIELDS, from_fields, parse_scores
from model.regno.review.detail import Detail
from plate_scoring import FrameScorer, load, pick_regno
from tests.support import tables, toys
from tests.support.messages import stating
from tests.support.paths import GOLDEN, lines
from tests.support.registry import command

_GOOD = 12


@pytest.fixture(scope="module")
def frames(scorer: RegnoScorer) -> FrameScorer:
    return load(scorer)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Requests, some with texts in place of numbers."""
    return [dict(line["request"]) for line in lines(GOLDEN)[:_GOOD]]


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([{name: row[name] for name in FIELDS} for row in rows])


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dict("records")  # type: ignore[return-value]  # names are texts


def test_scores_are_those_of_the_service_to_the_last_bit(
    frames: FrameScorer, rows: list[dict[str, Any]], client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.post("/reg/", json=rows, headers=key)
    scored = frames.score_frame(_frame(rows))
    assert _records(scored[["negative", "positive"]]) == reply.get_json()["body"]
    assert set(scored["error"]) == {""}


def test_scores_of_a_file_that_pandas_reads_are_those_of_the_command_for_files(
    frames: FrameScorer, scorer: RegnoScorer
) -> None:
    rows = tables.samples(300)
    rows[7]["camera_type"] = ""
    rows[8]["recognition_accuracy"] = ""
    text = tables.as_csv(rows)
    scored = frames.score_frame(pd.read_csv(io.BytesIO(text)))
    expected = [tables.expected(scorer, row) for row in rows]
    assert _records(scored.astype(object).where(scored.notna(), None)) == expected
    assert scored["error"][8].startswith("recognition_accuracy: ")


def test_details_are_those_of_the_command_for_files(frames: FrameScorer) -> None:
    rows = tables.samples(30)
    rows[2]["camera_class"] = "Неведомая"
    rows[4]["direction"] = ""
    detailed = tables.in_process(tables.as_csv(rows), detail=True)
    scored = frames.score_frame(_frame(rows), detail=True)
    assert list(scored) == [*Detail.__struct_fields__, "error"]
    assert scored["warnings"][2] == "unseen-category:camera_class"
    texts = [
        {name: "" if pd.isna(value) else str(value) for name, value in row.items()}
        for row in _records(scored)
    ]
    assert texts == [{name: row[name] for name in texts[0]} for row in detailed]
    assert list(texts[4].values()) == ["", "", "", "", "", "", "direction: is empty"]


def test_given_costs_decide(frames: FrameScorer, rows: list[dict[str, Any]]) -> None:
    scored = frames.score_frame(_frame(rows), detail=True, costs={"manual": 0})
    assert set(scored["decision"]) == {"manual"}
    with pytest.raises(ValueError, match=stating("costs", "manual", "review")):
        frames.score_frame(_frame(rows), detail=True, costs={"review": 1})
    with pytest.raises(ValueError, match=stating("camera_wrong", "more than 0")):
        frames.score_frame(_frame(rows), detail=True, costs={"camera_wrong": 0})
    for odd in ("a", None, [1]):
        with pytest.raises(ValueError, match=stating("cost", "manual", "no number")):
            frames.score_frame(_frame(rows), detail=True, costs={"manual": odd})  # type: ignore[dict-item]


def test_the_index_stays_and_the_frame_is_left_as_it_is(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    index = ["twice", "twice", *map(str, range(_GOOD - 2))]
    frame = _frame(rows).set_axis(index)[[*FIELDS[::-1]]].assign(note=None)
    before = frame.copy(deep=True)
    for result in (frames.score_frame(frame), frames.features_frame(frame)):
        assert list(result.index) == index
    pd.testing.assert_frame_equal(frame, before)


def test_values_of_numpy_and_pandas_are_taken_as_what_they_hold(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    plain = [
        {
            **row,
            "afts_regno_ai_char_scores": [0.5, 0.25],
            "time_check": "2021-08-01 09:02:59",
            "recognition_accuracy": 6.5,
            "direction": 1,
        }
        for row in rows
    ]
    frame = _frame(plain)
    typed = frame.assign(
        afts_regno_ai_char_scores=pd.Series([np.array([0.5, 0.25])] * _GOOD, dtype=object),
        time_check=pd.to_datetime(frame["time_check"]),
        recognition_accuracy=frame["recognition_accuracy"].astype("Float64"),
        direction=frame["direction"].astype(float),
        camera_type=frame["camera_type"].astype("category"),
        camera_class=frame["camera_class"].astype("string"),
    )
    pd.testing.assert_frame_equal(frames.score_frame(typed), frames.score_frame(frame))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, ""])
def test_a_row_that_is_no_reading_has_missing_values_and_an_error(
    frames: FrameScorer, rows: list[dict[str, Any]], missing: object
) -> None:
    frame = _frame(rows).astype(object)
    frame["time_check"] = [missing, *frame["time_check"][1:]]
    scored = frames.score_frame(frame)
    assert list(scored["positive"].isna()) == [True] + [False] * (_GOOD - 1)
    assert scored["error"][0].startswith("time_check: ")
    assert list(scored["error"][1:]) == [""] * (_GOOD - 1)
    features = frames.features_frame(frame)
    assert features.iloc[0].isna().all()
    assert list(features["hour"][1:]) == [from_fields(**row).time_check.hour for row in rows[1:]]


def test_no_error_holds_a_value(frames: FrameScorer, rows: list[dict[str, Any]]) -> None:
    frame = _frame([{**rows[0], "direction": "А939НО190", "recognition_accuracy": "А939НО190"}])
    (error,) = frames.score_frame(frame)["error"]
    assert error
    assert "939" not in error


def test_features_are_those_of_the_contract(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    features = frames.features_frame(_frame(rows), NAMES)
    assert tuple(features.columns) == NAMES
    for got, row in zip(features.itertuples(index=False), rows, strict=True):
        for value, wanted in zip(got, all_features(from_fields(**row)), strict=True):
            assert value == wanted or (isnan(value) and isnan(wanted))  # type: ignore[arg-type]


def test_catboost_scores_the_features_as_the_model_does(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    frame = _frame(rows)
    model = CatBoost().load_model(str(BUNDLED))
    pool = Pool(
        frames.features_frame(frame),
        cat_features=model.get_cat_feature_indices(),
        text_features=model.get_text_feature_indices(),
    )
    by_catboost = model.predict(pool, prediction_type="Probability")[:, 1]
    assert list(by_catboost) == list(frames.score_frame(frame)["positive"])


def test_features_are_the_models_unless_others_are_named(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    frames = load(toys.save(toys.train(("hour", "ai_len")), tmp_path))
    assert frames.features == ["hour", "ai_len"]
    assert list(frames.features_frame(_frame(rows))) == ["hour", "ai_len"]
    assert list(frames.features_frame(_frame(rows), ["month", "Х"])) == ["month", "Х"]
    with pytest.raises(ValueError, match="no_such"):
        frames.features_frame(_frame(rows), ["hour", "no_such"])


def test_explanations_add_up_to_the_log_odds_of_the_score(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    frame = _frame([*rows[:3], {**rows[0], "direction": 7}])
    explained = frames.explain_frame(frame)
    assert list(explained) == ["positive", "base", *frames.features, "error"]
    scored = frames.score_frame(frame)
    pd.testing.assert_series_equal(explained["positive"], scored["positive"])
    pd.testing.assert_series_equal(explained["error"], scored["error"])
    log_odds = explained[["base", *frames.features]].sum(axis=1)[:3]
    positives = [1 / (1 + exp(-each)) for each in log_odds]
    assert positives == pytest.approx(list(scored["positive"][:3]), abs=1e-9)
    assert explained.iloc[3][["base", *frames.features]].isna().all()


@pytest.mark.parametrize("bad", [False, True])
def test_a_frame_without_readings_has_the_same_columns(
    frames: FrameScorer, rows: list[dict[str, Any]], *, bad: bool
) -> None:
    frame = _frame([{**rows[0], "direction": 7}]) if bad else _frame(rows).iloc[:0]
    assert list(frames.score_frame(frame)) == ["negative", "positive", "error"]
    assert list(frames.features_frame(frame)) == frames.features
    assert len(frames.explain_frame(frame)) == len(frame)
    assert frames.score_frame(frame)["positive"].dtype == float


@pytest.mark.parametrize("written", [str.upper, lambda name: f" {name.replace('_', ' ').title()}"])
def test_columns_may_be_named_as_in_files(
    written: Callable[[str], str], frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    plain, renamed = _frame(rows), _frame(rows).rename(columns=written)
    for method in (frames.score_frame, frames.features_frame):
        pd.testing.assert_frame_equal(method(renamed), method(plain))
    explained = frames.explain_frame(renamed.iloc[:2])
    pd.testing.assert_frame_equal(explained, frames.explain_frame(plain.iloc[:2]))
    assert list(renamed.columns) == list(map(written, plain.columns))


def test_a_frame_without_the_columns_is_refused_by_what_it_lacks_and_has(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    frame = _frame(rows).rename(columns={"direction": "way"})
    with pytest.raises(ValueError, match=r"lacks direction; .*\bway\b"):
        frames.score_frame(frame)
    numbered = _frame(rows).set_axis(range(10), axis=1)
    with pytest.raises(ValueError, match="has numbers"):
        frames.score_frame(numbered)
    twice = pd.concat([_frame(rows), _frame(rows)["direction"]], axis=1)
    with pytest.raises(ValueError, match="twice: direction"):
        frames.features_frame(twice)


def test_the_bundled_model_is_loaded_unless_another_is_named(
    customer_model: Path, rows: list[dict[str, Any]]
) -> None:
    frame = _frame(rows)
    assert load().version == RegnoScorer.load().version
    by_path = load(customer_model).score_frame(frame)
    of_catboost = load(CatBoost().load_model(str(customer_model))).score_frame(frame)
    pd.testing.assert_frame_equal(by_path, of_catboost)
    assert list(by_path["positive"]) != list(load().score_frame(frame)["positive"])


def test_a_version_comes_from_a_registry_by_its_name_or_alias(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    path = toys.save(toys.train(("hour",)), tmp_path)
    command(tmp_path, "--models", folder, "add", path, "--version", "one")
    with pytest.raises(Refused, match="no version"):
        load(registry=folder)
    with pytest.raises(Refused, match="two"):
        load(registry=folder, version="two")
    command(tmp_path, "--models", folder, "promote", "one")
    assert load(registry=folder).version == load(registry=str(folder), version="one").version
    assert load(registry=folder).version == "one"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.cbm").write_bytes(b"no model")
    with pytest.raises(ModelRefused, match=r"no\.cbm"):
        load(tmp_path / "no.cbm")
    with pytest.raises(ValueError, match="not both"):
        load(tmp_path / "no.cbm", registry=tmp_path)


def test_one_reading_scores_as_a_row_of_a_frame(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    fields = [rows[0][name] for name in FIELDS]
    score = pick_regno(*fields, frames.scorer)  # type: ignore[call-arg]  # ten of them
    first = frames.score_frame(_frame(rows[:1]))
    assert score == {name: first[name][0] for name in ("negative", "positive")}


def test_texts_are_read_as_in_files(frames: FrameScorer, rows: list[dict[str, Any]]) -> None:
    frame = _frame(rows).assign(time_check="2021-03-21 09:05:00")
    wanted = frames.score_frame(frame)
    changed = frame.assign(time_check="21.03.2021 9:05:00")
    for name in ("recognition_accuracy", "afts_regno_ai_score"):
        changed[name] = [str(float(value)).replace(".", ",") for value in frame[name]]
    pd.testing.assert_frame_equal(frames.score_frame(changed), wanted, check_exact=True)
    for kind in (np.array, pd.Series, pd.array, list, tuple):
        for name in ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores"):
            cells = [kind(parse_scores(value)) for value in frame[name]]
            changed[name] = pd.Series(cells, dtype=object)
        pd.testing.assert_frame_equal(frames.score_frame(changed), wanted, check_exact=True)


def test_what_is_no_frame_and_unclear_dates_are_refused(
    frames: FrameScorer, rows: list[dict[str, Any]]
) -> None:
    frame = _frame(rows)
    for given in (rows, frame.iloc[0], frame.to_numpy(), None):
        for method in (frames.score_frame, frames.features_frame, frames.explain_frame):
            with pytest.raises(ValueError, match="a DataFrame is needed, no "):
                method(given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=stating("12", "pandas.to_datetime")):
        frames.score_frame(frame.assign(time_check="02/01/2021 09:05"))
    for seconds in (1614589500, 1614589500.0):
        errors = frames.score_frame(frame.assign(time_check=seconds))["error"]
        assert errors.str.startswith("time_check: looks like Unix time in seconds, in UTC: ").all()
    sets = pd.Series([{0.5, 0.25}] * len(frame), dtype=object)
    scores = frame.assign(afts_regno_ai_char_scores=sets)
    assert frames.score_frame(scores)["positive"].isna().all()
