"""Model files of all kinds are refused with the reason, or all their scores are right."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catboost import CatBoost, Pool, sum_models
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model import ModelRefused
from model.regno import RegnoScorer
from model.regno.manifest_builder import complete
from model.regno.request import from_fields
from tests.support import toys
from tests.support.messages import mentions
from tests.support.paths import GOLDEN, ROOT, lines
from tests.support.registry import command
from tests.support.vacuous import nonempty

PAIR = toys.NUMERIC_PAIR
READINGS = [from_fields(**line["request"]) for line in lines(GOLDEN)[:20]]
_NO_PROBABILITIES = ("not probabilities", "two classes")
_NO_CLASSIFIER = ("no classifier",)
_NO_LOSS = ("no loss function",)
_CONSTANT = ("every reading", "same score")


def _refusal(path: Path, *, warm: bool = False) -> str:
    with pytest.raises(ModelRefused) as caught:
        RegnoScorer.load(path, warm=warm)
    before, refused, reason = str(caught.value).partition(f"{path} is refused: ")
    assert (before, bool(refused)) == ("", True)
    return reason


def _positives(path: Path, names: Sequence[str] = PAIR) -> None:
    """A model scores as CatBoost says, by rows and by table."""
    scorer = RegnoScorer.load(path, warm=True)
    rows = toys.table(names)[: len(READINGS)]
    model = CatBoost().load_model(str(path))
    wanted = model.predict(rows, prediction_type="Probability")[:, 1].tolist()
    assert [score.positive for score in scorer.score(READINGS)] == wanted
    assert len(set(wanted)) > 1


def _fit(labels: Sequence[object], **options: Any) -> CatBoost:
    usual = {"iterations": 4, "depth": 3, "verbose": False, "allow_writing_files": False}
    rows = toys.table(PAIR)[: len(labels)]
    pool = Pool(rows, labels, feature_names=list(PAIR))
    return CatBoost({**usual, "thread_count": 1, **options}).fit(pool)


_SCORES = [line["features"]["afts_regno_ai_score"] for line in lines(GOLDEN)]
_LABELS = [int(score > 0.5) for score in _SCORES]


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (_LABELS, {"loss_function": "Logloss"}),
        (_LABELS, {"loss_function": "CrossEntropy"}),
        (_SCORES, {"loss_function": "CrossEntropy"}),  # probabilities as labels, no classes
        ([10 * label for label in _LABELS], {"loss_function": "Logloss", "target_border": 5}),
        (_LABELS, {"loss_function": "Focal:focal_alpha=0.5;focal_gamma=2"}),
        (_LABELS, {"loss_function": "MultiClass"}),
        (_LABELS, {"loss_function": "MultiClass", "classes_count": 2}),
        (_LABELS, {"loss_function": "MultiClassOneVsAll"}),
        (_LABELS, {"loss_function": "Logloss", "grow_policy": "Depthwise"}),
        (_LABELS, {"loss_function": "MultiClass", "grow_policy": "Lossguide"}),
        (_LABELS, {"loss_function": "Logloss", "posterior_sampling": True}),
        (_LABELS, {"loss_function": "Logloss", "auto_class_weights": "Balanced"}),
    ],
)
def test_probabilities_of_two_classes_are_served_as_catboost_gives_them(
    labels: Sequence[object], options: dict[str, Any], tmp_path: Path
) -> None:
    _positives(toys.save(_fit(labels, **options), tmp_path))


class OwnLogloss:
    """An objective of one's own, as CatBoost takes it."""

    def calc_ders_range(
        self, approxes: Sequence[float], targets: Sequence[float], _weights: object
    ) -> list[tuple[float, float]]:
        probabilities = [1 / (1 + np.exp(-value)) for value in approxes]
        pairs = zip(targets, probabilities, strict=True)
        return [(target - p, -p * (1 - p)) for target, p in pairs]


@pytest.mark.filterwarnings("ignore:Failed to import numba")
def test_an_objective_of_ones_own_is_served_as_catboost_gives_it(tmp_path: Path) -> None:
    own = {"loss_function": OwnLogloss(), "eval_metric": "Logloss", "class_names": [0, 1]}
    _positives(toys.save(_fit(_LABELS, **own), tmp_path))


_TWO = [[label, 1 - label] for label in _LABELS]


@pytest.mark.parametrize(
    ("labels", "options", "facts"),
    [
        (_TWO, {"loss_function": "MultiLogloss"}, ("MultiLogloss", *_NO_PROBABILITIES)),
        (_TWO, {"loss_function": "MultiCrossEntropy"}, ("CrossEntropy", *_NO_PROBABILITIES)),
        (_LABELS, {"loss_function": "RMSE"}, _NO_CLASSIFIER),
        (
            _LABELS,
            {"loss_function": "RMSE", "class_names": [0, 1]},
            ("RMSE", *_NO_PROBABILITIES),
        ),
        (_LABELS, {"loss_function": "RMSEWithUncertainty"}, _NO_CLASSIFIER),
        (
            _LABELS,
            {"loss_function": "RMSEWithUncertainty", "class_names": [0, 1]},
            ("RMSEWithUncertainty", *_NO_PROBABILITIES),
        ),
        (_LABELS, {"loss_function": "MultiQuantile:alpha=0.1,0.5"}, _NO_CLASSIFIER),
        (_LABELS, {"loss_function": "Poisson"}, _NO_CLASSIFIER),
    ],
)
def test_what_gives_no_probabilities_is_refused(
    labels: Sequence[object], options: dict[str, Any], facts: tuple[str, ...], tmp_path: Path
) -> None:
    assert mentions(_refusal(toys.save(_fit(labels, **options), tmp_path)), *facts)


@pytest.mark.parametrize("loss", ["QueryRMSE", "QuerySoftMax", "PairLogit", "YetiRankPairwise"])
def test_a_ranker_is_refused_whatever_its_loss(loss: str, tmp_path: Path) -> None:
    ranked = Pool(
        toys.table(PAIR),
        [number % 2 for number, _ in enumerate(_LABELS)],
        feature_names=list(PAIR),
        group_id=[number // 10 for number, _ in enumerate(_LABELS)],
    )
    options = {"iterations": 2, "verbose": False, "allow_writing_files": False}
    model = CatBoost({**options, "loss_function": loss}).fit(ranked)
    assert mentions(_refusal(toys.save(model, tmp_path)), *_NO_CLASSIFIER)


_CLASSIFIER = {"loss_function": "Logloss"}


def _sum(*losses: dict[str, Any]) -> CatBoost:
    models = [_fit(_LABELS, **loss) for loss in losses]
    return sum_models(models, weights=[0.5] * len(models))


def test_a_sum_of_classifiers_is_served(tmp_path: Path) -> None:
    _positives(toys.save(_sum(_CLASSIFIER, {**_CLASSIFIER, "depth": 2}), tmp_path))


@pytest.mark.parametrize(
    ("summands", "facts"),
    [
        ((_CLASSIFIER, {"loss_function": "RMSE"}), _NO_LOSS),
        (({"loss_function": "RMSE"},) * 2, _NO_CLASSIFIER),
        (({"loss_function": "MultiClass"}, {"loss_function": "MultiClassOneVsAll"}), _NO_LOSS),
    ],
)
def test_a_sum_of_unlike_models_is_refused(
    summands: tuple[dict[str, Any], ...], facts: tuple[str, ...], tmp_path: Path
) -> None:
    assert mentions(_refusal(toys.save(_sum(*summands), tmp_path)), *facts)


@pytest.mark.parametrize(("scale", "bias"), [(0.5, 0.7), (-1.0, 0.0), (3.0, -2.0)])
@pytest.mark.parametrize("loss", ["Logloss", "MultiClass"])
def test_a_scaled_model_is_served_as_catboost_gives_it(
    loss: str, scale: float, bias: float, tmp_path: Path
) -> None:
    model = _fit(_LABELS, loss_function=loss)
    model.set_scale_and_bias(scale, [bias] if loss == "Logloss" else [bias, -2 * bias])
    _positives(toys.save(model, tmp_path))


@pytest.mark.parametrize(
    ("scale", "bias", "facts"),
    [
        (0.0, 0.0, _CONSTANT),
        (0.0, 0.7, _CONSTANT),
        (1e-300, 0.0, _CONSTANT),
        (1.0, 1e308, _CONSTANT),
        (1.0, -800.0, _CONSTANT),
        (1e308, 0.0, ("not numbers", "too great")),
    ],
)
def test_a_scale_that_leaves_no_score_is_refused(
    scale: float, bias: float, facts: tuple[str, ...], tmp_path: Path
) -> None:
    model = _fit(_LABELS, loss_function="Logloss")
    model.set_scale_and_bias(scale, [bias])
    assert mentions(_refusal(toys.save(model, tmp_path)), *facts)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("mark", [3.25, 7.125])
def test_a_scale_or_bias_that_is_no_number_is_refused(
    mark: float, number: float, tmp_path: Path
) -> None:
    """CatBoost writes none such: the bytes are changed."""
    model = _fit(_LABELS, loss_function="Logloss")
    model.set_scale_and_bias(3.25, [7.125])
    path = toys.save(model, tmp_path)
    blob = path.read_bytes()
    assert blob.count(struct.pack("<d", mark)) == 1
    path.write_bytes(blob.replace(struct.pack("<d", mark), struct.pack("<d", number)))
    assert mentions(_refusal(path), "not a CatBoost model", "catboost/libs/model/model.cpp")


def test_one_against_all_that_does_not_add_up_is_refused(tmp_path: Path) -> None:
    model = _fit(_LABELS, loss_function="MultiClassOneVsAll")
    model.set_scale_and_bias(0.5, [0.5, -0.5])
    _positives(toys.save(model, tmp_path))
    model.set_scale_and_bias(0.5, [0.5, 0.7])
    facts = ("probabilities", "add up to 1")
    assert mentions(_refusal(toys.save(model, tmp_path)), *facts)
    model.set_scale_and_bias(1.0, [0.0, 0.0])
    values = model.get_leaf_values()
    values[0] += 0.1
    model.set_leaf_values(values)
    assert mentions(_refusal(toys.save(model, tmp_path)), *facts)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_leaf_that_no_row_reaches_must_hold_a_number(number: float, tmp_path: Path) -> None:
    model = _fit(_LABELS, loss_function="Logloss")
    values = model.get_leaf_values()
    values[np.flatnonzero(model.get_leaf_weights() == 0)[0]] = number
    model.set_leaf_values(values)
    path = toys.save(model, tmp_path)
    result = CatBoost().load_model(str(path)).predict(toys.table(PAIR), "Probability")
    assert np.isfinite(result).all(), "golden rows would show it"
    assert mentions(_refusal(path), "leaves", "not numbers")


def test_a_constant_is_refused(tmp_path: Path) -> None:
    assert mentions(
        _refusal(toys.save(_fit(_LABELS, **_CLASSIFIER, depth=0), tmp_path)), *_CONSTANT
    )
    model = _fit(_LABELS, **_CLASSIFIER)
    model.set_leaf_values(np.full_like(model.get_leaf_values(), 0.25))
    assert mentions(_refusal(toys.save(model, tmp_path)), *_CONSTANT)


def test_no_trees_are_refused(tmp_path: Path) -> None:
    model = _fit(_LABELS, **_CLASSIFIER)
    model.shrink(ntree_start=0, ntree_end=0)
    assert mentions(_refusal(toys.save(model, tmp_path)), "no trees")


def _changed(old: bytes, new: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = toys.save(_fit(_LABELS, **_CLASSIFIER), folder)
        blob = path.read_bytes()
        assert old in blob
        assert len(old) == len(new)
        path.write_bytes(blob.replace(old, new))
        return path

    return make


_NAMES = b'"class_names":[0,1]'


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (_changed(_NAMES, b'"class_names":[0,0]'), ("classes", "0 and 0", "two")),
        (_changed(_NAMES, b'"class_names":{0,1}'), ("can't be read: catboost/",)),
        (_changed(_NAMES, b'"class_names":null '), ("can't be read: [Internal error]",)),
        (_changed(b'"type":"Logloss"', b'"type":"LoglosX"'), ("LoglosX", *_NO_PROBABILITIES)),
        (_changed(b'"loss_function":', b'"loss_functiox":'), _NO_LOSS),
        (_changed(b"afts_regno_ai_score", b"afts_regno_ai_scor\xff"), ("can't be read: Unicode",)),
    ],
)
def test_the_metadata_of_a_changed_file_is_not_trusted(
    make: Callable[[Path], Path], facts: tuple[str, ...], tmp_path: Path
) -> None:
    assert mentions(_refusal(make(tmp_path)), *facts)


def test_features_that_are_named_twice_are_refused(tmp_path: Path) -> None:
    model = _fit(_LABELS, **_CLASSIFIER)
    model.set_feature_names(["hour", "hour"])
    assert mentions(_refusal(toys.save(model, tmp_path)), "twice: hour")


@pytest.mark.parametrize("names", [("hour", ""), ("", "hour")])
def test_a_feature_without_a_name_among_others_is_refused(
    names: tuple[str, str], tmp_path: Path
) -> None:
    """CatBoost calls it by its place, which is what the contract calls a digit's feature."""
    model = _fit(_LABELS, **_CLASSIFIER)
    model.set_feature_names(list(names))
    message = _refusal(toys.save(model, tmp_path), warm=True)
    assert mentions(message, f"feature {names.index('')} ", "no name")


def test_a_digits_feature_at_the_place_of_that_number_is_served(tmp_path: Path) -> None:
    model = toys.train(("hour", "1", "afts_regno_ai_score"))
    _positives(toys.save(model, tmp_path), ("hour", "1", "afts_regno_ai_score"))


def test_names_of_features_do_not_break_the_line_that_reports_them(tmp_path: Path) -> None:
    names = ["hour\n\x1b[31m", "x" * 1000, *(f"n{number}" for number in range(20))]
    rows = [[float(row * column % 7) for column, _ in enumerate(names)] for row in range(40)]
    pool = Pool(rows, [row % 2 for row in range(40)], feature_names=names)
    options = {"iterations": 2, "depth": 2, "verbose": False, "allow_writing_files": False}
    message = _refusal(toys.save(CatBoost({**options, **_CLASSIFIER}).fit(pool), tmp_path))
    assert message.isprintable()
    assert message.endswith("n6, n7 and 12 more")
    assert len(message) < 500


def test_embeddings_are_refused(tmp_path: Path) -> None:
    rows = [[score, [score, 1 - score]] for score in _SCORES]
    pool = Pool(rows, _LABELS, feature_names=["hour", "direction"], embedding_features=[1])
    options = {"iterations": 2, "verbose": False, "allow_writing_files": False}
    path = toys.save(CatBoost({**options, **_CLASSIFIER}).fit(pool), tmp_path)
    assert mentions(_refusal(path), "direction", "embedding")


@pytest.mark.parametrize("form", ["json", "onnx", "coreml", "pmml", "python", "cpp"])
def test_another_format_under_this_name_is_refused(form: str, tmp_path: Path) -> None:
    path = tmp_path / "model.cbm"
    _fit(_LABELS, **_CLASSIFIER).save_model(str(path), format=form)
    assert mentions(_refusal(path), "not a CatBoost model")


@pytest.mark.parametrize("kind", ["pipe", "device", "endless device"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.cbm"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null" if kind == "device" else "/dev/zero")
    assert mentions(_refusal(path), "can't be read", "not a regular file")
    done = command(tmp_path, "add", path, "--models", tmp_path / "models", expect=66)
    assert mentions(done.stderr, f"{path}: ", "not a regular file")


def test_a_file_beyond_all_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.cbm"
    with path.open("wb") as file:
        file.truncate(300 * 2**20)  # a hole: no such amount is written
    assert mentions(_refusal(path), "can't be read", "larger", "268435456 bytes")


def _of_categories(**options: Any) -> CatBoost:
    classes = ["Астра-Трафик", "Стрелка", "Форсаж", "Иная", "Другая"]
    rows = [[classes[number % 5]] for number in range(200)]
    labels = [int(number % 5 > 2) for number in range(200)]
    pool = Pool(rows, labels, feature_names=["camera_class"], cat_features=[0])
    quick = {"iterations": 5, "verbose": False, "allow_writing_files": False}
    return CatBoost({**quick, **_CLASSIFIER, "thread_count": 1, **options}).fit(pool)


@pytest.mark.parametrize("one_hot", [2, 255])
def test_categories_by_tables_and_by_splits_are_served(one_hot: int, tmp_path: Path) -> None:
    _positives(toys.save(_of_categories(one_hot_max_size=one_hot), tmp_path), ["camera_class"])


def _without(model: CatBoost, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The model with something left out that only its JSON form lets one leave out."""
    form = folder / "form.json"
    model.save_model(str(form), format="json")
    tree = json.loads(form.read_text())
    change(tree)
    form.write_text(json.dumps(tree))
    return toys.save(CatBoost().load_model(str(form), format="json"), folder)


def test_tables_of_categories_that_are_missing_are_a_refusal(tmp_path: Path) -> None:
    model = _of_categories(one_hot_max_size=2)
    path = _without(model, tmp_path, lambda tree: tree.update(ctr_data={}))
    assert mentions(_refusal(path, warm=True), "can't score", "golden rows")


def test_leaves_without_weights_are_served(tmp_path: Path) -> None:
    def change(model_json: dict[str, Any]) -> None:
        for tree in model_json["oblivious_trees"]:
            del tree["leaf_weights"]

    path = _without(_of_categories(one_hot_max_size=2), tmp_path, change)
    _positives(path, ["camera_class"])
    scorer = RegnoScorer.load(path)
    assert scorer.unseen(["Неведомая"]) == ["camera_class"]


_EXAMINE = """
import sys
from pathlib import Path
from model.regno import RegnoScorer
RegnoScorer.load(Path(sys.argv[1]), warm=True)
"""


def test_a_model_that_ends_the_process_does_so_where_it_is_tried(tmp_path: Path) -> None:
    """What the trial in a process of its own does covers the first use of such a model."""
    path = toys.save(
        _of_categories(one_hot_max_size=2, final_ctr_computation_mode="Skip"), tmp_path
    )
    done = subprocess.run(
        [sys.executable, "-c", _EXAMINE, path], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode < 0
    refused = command(tmp_path, "add", path, "--models", tmp_path / "models", expect=1)
    assert mentions(refused.stderr, "loading", "signal 11")


def test_a_table_that_scores_otherwise_than_rows_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toys.save(_fit(_LABELS, **_CLASSIFIER), tmp_path)
    monkeypatch.setattr(RegnoScorer, "predict_table", lambda *_: np.full((16, 2), 0.5))
    assert "golden row 0 scores " in _refusal(path, warm=True)


@pytest.fixture(scope="module")
def one_tree() -> CatBoost:
    """Trained here: what is loaded takes no other leaf values."""
    return _fit(_LABELS, **_CLASSIFIER, iterations=1)


@settings(max_examples=30)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=8),
    st.floats(-5, 5).filter(lambda scale: abs(scale) > 0.01),
    st.floats(-5, 5),
)
def test_whatever_the_leaves_hold_all_scores_are_probabilities(
    one_tree: CatBoost,
    tmp_path_factory: pytest.TempPathFactory,
    leaves: list[float],
    scale: float,
    bias: float,
) -> None:
    model = one_tree
    values = np.resize(leaves, len(model.get_leaf_values()))
    values[-1] = 31.0  # so that it is not a constant
    model.set_leaf_values(values)
    model.set_scale_and_bias(scale, [bias])
    reached = [scale * value + bias for value in (min(values), max(values))]
    low, high = sorted(1 / (1 + np.exp(-value)) for value in reached)
    assume(high - low > 1e-9)  # else it is a constant after all, and refused
    scorer = RegnoScorer.load(toys.save(model, tmp_path_factory.getbasetemp()), warm=True)
    for score in nonempty(scorer.score(READINGS)):
        assert low - 1e-12 <= score.positive <= high + 1e-12
        assert score.positive + score.negative == pytest.approx(1, abs=1e-12)


def test_a_manifest_of_such_a_model_is_made_of_what_it_scores(tmp_path: Path) -> None:
    model = _fit(_LABELS, loss_function="MultiClass")
    path = toys.save(model, tmp_path)
    result = complete(RegnoScorer.load(path, warm=True), path)
    assert (result.classes, result.positive_class, result.unexplained) == (["0", "1"], "1", "")
    assert len(result.golden) == 16
