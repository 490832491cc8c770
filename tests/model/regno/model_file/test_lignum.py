"""pylignum as an evaluator: the same bits as CatBoost's, or CatBoost evaluates the model."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from catboost import CatBoost
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from model import ModelRefused, manifests
from model.regno import RegnoScorer
from model.regno.features import KINDS, SETS
from model.regno.manifest_builder import complete
from model.regno.model_file import lignum_evaluator
from model.regno.model_file.calibration import Platt
from model.regno.request import Reading, from_fields
from model.regno.training.simulate import simulate
from tests.support import toys
from tests.support.strategies import requests

_READINGS = [from_fields(**sample.request) for sample in simulate(500, seed=8)]
_NAMES = SETS["v2-notext"]
_CATEGORIES = tuple(name for name in _NAMES if KINDS[name] == "categorical")


def _described(model: CatBoost, folder: Path, **changed: object) -> Path:
    """A model file whose manifest asks for pylignum, and says what else is given."""
    path = toys.save(model, folder)
    described = complete(RegnoScorer.load(path), path)
    changed = {"golden": [], "evaluator": "lignum", **changed}
    manifests.write(structs.replace(described, **changed), folder / manifests.FILE_NAME)
    return path


@pytest.fixture(scope="module")
def trained() -> CatBoost:
    """A model of feature set v2 without texts, whose hours are categories."""
    return toys.train(_NAMES, cat=(*_CATEGORIES, "hour", "diff_first"), iterations=30, depth=4)


@pytest.fixture(scope="module")
def path(trained: CatBoost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file."""
    return _described(trained, tmp_path_factory.mktemp("lignum"))


@pytest.fixture(scope="module")
def pair(path: Path, trained: CatBoost) -> tuple[RegnoScorer, RegnoScorer]:
    """Its scorers, by pylignum and by CatBoost."""
    quick = RegnoScorer.load(path, warm=True)
    plain = RegnoScorer.load(toys.save(trained, path.parent, "plain.cbm"))
    assert (quick.evaluator, plain.evaluator) == ("lignum", "catboost")
    return quick, plain


def _assert_same(pair: tuple[RegnoScorer, RegnoScorer], readings: Sequence[Reading]) -> None:
    quick, plain = pair
    scores = plain.score(readings)
    assert quick.score(readings) == scores
    assert [quick.score([reading])[0] for reading in readings] == scores
    assert quick.score_table(quick.table.of_readings(readings)) == scores


def test_simulated_readings(pair: tuple[RegnoScorer, RegnoScorer]) -> None:
    _assert_same(pair, _READINGS)
    assert len({score.positive for score in pair[0].score(_READINGS)}) > 100


@given(st.lists(requests(), min_size=1, max_size=5))
@settings(max_examples=100)
def test_any_readings(pair: tuple[RegnoScorer, RegnoScorer], some: list[dict[str, Any]]) -> None:
    _assert_same(pair, [from_fields(**request) for request in some])


def test_no_readings(pair: tuple[RegnoScorer, RegnoScorer]) -> None:
    assert pair[0].score([]) == []


def test_its_scores_are_explained(pair: tuple[RegnoScorer, RegnoScorer]) -> None:
    quick, _ = pair
    explainer = quick.explainer()
    try:
        (result,) = quick.explained(quick.rows(_READINGS[:1]), explainer, 60)
    finally:
        explainer.close()
    assert result.positive == quick.score(_READINGS[:1])[0].positive


def test_a_calibrated_model(trained: CatBoost, tmp_path: Path) -> None:
    quick = RegnoScorer.load(_described(trained, tmp_path, calibration=Platt(0.5, 0.25)))
    assert quick.evaluator == "lignum"
    table = quick.score_table(quick.table.of_readings(_READINGS))
    assert quick.score(_READINGS) == table


def test_a_model_whose_first_class_is_positive(tmp_path: Path) -> None:
    model = toys.classifier("0", "1", class_names=["1", "0"])
    quick = RegnoScorer.load(_described(model, tmp_path))
    plain = RegnoScorer.load(toys.save(model, tmp_path, "plain.cbm"))
    assert quick.evaluator == "lignum"
    assert quick.score(_READINGS) == plain.score(_READINGS)


def _refusal(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Why CatBoost evaluates a model that asks for pylignum."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="model.regno.scorer"):
        scorer = RegnoScorer.load(path, warm=True)
    assert scorer.evaluator == "catboost"
    (record,) = caplog.records
    assert scorer.version in record.getMessage()
    return record.getMessage()


def test_texts_are_left_to_catboost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = "afts_regno_ai_text"
    path = _described(toys.train(["hour", name], text=[name]), tmp_path)
    assert "text features" in _refusal(path, caplog)


def test_without_the_package_the_extra_is_named(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lignum_evaluator, "find_spec", lambda _: None)
    assert "plate-scoring[lignum]" in _refusal(path, caplog)


def test_other_bits_are_left_to_catboost(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = toys.train(_NAMES, cat=(*_CATEGORIES, "hour", "diff_first"), iterations=29, depth=4)
    trees = lignum_evaluator._loaded(RegnoScorer.load(toys.save(other, tmp_path))._model)
    monkeypatch.setattr(lignum_evaluator, "_loaded", lambda _: trees)
    assert "same bits" in _refusal(path, caplog)


def test_what_it_can_not_read_is_left_to_catboost(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(lignum_evaluator, "_loaded", unreadable)
    assert "RuntimeError" in _refusal(path, caplog)


@pytest.mark.parametrize("loss", ["MultiClass", "MultiClassOneVsAll"])
def test_a_score_for_each_class_is_left_to_catboost_or_the_same(
    loss: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = toys.train(["hour", "afts_regno_ai_score"], loss_function=loss)
    path = _described(model, tmp_path)
    assert "CatBoost" in _refusal(path, caplog)


def test_an_evaluator_that_is_none_is_refused(path: Path, tmp_path: Path) -> None:
    copied = path.parent / manifests.FILE_NAME
    text = copied.read_text(encoding="utf-8").replace('"evaluator": "lignum"', '"evaluator": "gpu"')
    (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / manifests.FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ModelRefused, match="evaluator"):
        RegnoScorer.load(tmp_path / path.name)
