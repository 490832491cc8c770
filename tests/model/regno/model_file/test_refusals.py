"""A file that can't be served truthfully is refused at load, and the message says why."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catboost import CatBoost, Pool

from model import ModelRefused
from model.regno import BUNDLED, RegnoScorer
from tests.support import toys
from tests.support.messages import mentions

PAIR = toys.NUMERIC_PAIR
Maker = Callable[[Path], Path]


def _refusal(path: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        RegnoScorer.load(path)
    message = str(caught.value)
    assert str(path) in message, "the message names the file"
    return message


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that is served."""
    path = toys.save(toys.train(PAIR), tmp_path_factory.mktemp("toy"))
    RegnoScorer.load(path)
    return path


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in _refusal(tmp_path / "none.cbm")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "directory" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\n", "not a CatBoost model"),
        (b"junk" * 1000, "not a CatBoost model"),
        (b"CBM1", "not a CatBoost model"),
        (b"CBM1\xff\xff\xff\xff", "not a CatBoost model"),
        (b"CBM1" + bytes(64), "not a CatBoost model"),
        (b"{}", "not a CatBoost model in the form .cbm, which save_model writes: "),
    ],
    ids=["empty", "blank", "junk", "magic", "length", "zeros", "json"],
)
def test_what_is_no_model_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.cbm"
    path.write_bytes(content)
    assert reason in _refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.75, 0.99])
def test_a_truncated_model_is_refused(share: float, toy: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.cbm"
    blob = toy.read_bytes()
    path.write_bytes(blob[: int(len(blob) * share)])
    assert "not a CatBoost model" in _refusal(path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_the_bundled_model_truncated_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.cbm"
    blob = BUNDLED.read_bytes()
    path.write_bytes(blob[: int(len(blob) * share)])
    assert "not a CatBoost model" in _refusal(path)


def test_a_regression_is_refused(tmp_path: Path) -> None:
    model = toys.train(PAIR, loss_function="RMSE")
    assert mentions(_refusal(toys.save(model, tmp_path)), "no classifier", "binary classifier")


def test_a_ranker_is_refused(tmp_path: Path) -> None:
    rows = toys.table(PAIR)
    ranked = Pool(rows, label=[n % 3 for n, _ in enumerate(rows)], group_id=[0] * len(rows))
    ranked.set_feature_names(list(PAIR))
    model = _fitted(ranked, loss_function="YetiRank")
    assert mentions(_refusal(toys.save(model, tmp_path)), "binary classifier")


def test_a_classifier_of_three_is_refused(tmp_path: Path) -> None:
    rows = toys.table(PAIR)
    model = _fitted(
        Pool(rows, label=[n % 3 for n, _ in enumerate(rows)], feature_names=list(PAIR)),
        loss_function="MultiClass",
    )
    assert mentions(_refusal(toys.save(model, tmp_path)), "3 classes")


def _fitted(pool: Pool, **options: Any) -> CatBoost:
    quiet = {"iterations": 2, "depth": 2, "verbose": False, "allow_writing_files": False}
    return CatBoost({**quiet, **options}).fit(pool)


def test_every_unknown_feature_is_named(tmp_path: Path) -> None:
    model = toys.train(("hour", "speed", "lane"))
    assert mentions(_refusal(toys.save(model, tmp_path)), "unknown features: speed, lane")


@pytest.mark.parametrize("name", ["A", "Hour", "hour ", "feature_0", "Ё"])
def test_a_feature_almost_of_the_contract_is_unknown(name: str, tmp_path: Path) -> None:
    model = toys.train(("direction", name))
    assert f"unknown features: {name}" in _refusal(toys.save(model, tmp_path))


@pytest.mark.parametrize("count", [1, 2, 10, 11])
def test_features_without_names_are_refused(count: int, tmp_path: Path) -> None:
    # CatBoost then calls them 0, 1, …: names of the contract, but not what they are.
    rows = toys.table(("hour",) * count)
    model = _fitted(Pool(rows, label=[n % 2 for n, _ in enumerate(rows)]), loss_function="Logloss")
    assert mentions(_refusal(toys.save(model, tmp_path)), "features have no names")


def test_a_number_wanted_as_text_is_refused(tmp_path: Path) -> None:
    rows = toys.table(("hour", "direction"))
    pool = Pool(
        [[f"{hour} o'clock", direction] for hour, direction in rows],
        label=[n % 2 for n, _ in enumerate(rows)],
        feature_names=["hour", "direction"],
        text_features=["hour"],
    )
    message = _refusal(toys.save(_fitted(pool, loss_function="Logloss"), tmp_path))
    assert mentions(message, "hour as text")


def test_a_fraction_wanted_as_a_category_is_refused(tmp_path: Path) -> None:
    rows = toys.table(PAIR)
    pool = Pool(
        [[hour, str(score)] for hour, score in rows],
        label=[n % 2 for n, _ in enumerate(rows)],
        feature_names=list(PAIR),
        cat_features=[1],
    )
    message = _refusal(toys.save(_fitted(pool, loss_function="Logloss"), tmp_path))
    assert mentions(message, "afts_regno_ai_score as categorical")


def test_a_category_wanted_as_a_number_is_refused(tmp_path: Path) -> None:
    rows = toys.table(("hour", "Х"))
    pool = Pool(rows, label=[n % 2 for n, _ in enumerate(rows)], feature_names=["hour", "month"])
    message = _refusal(toys.save(_fitted(pool, loss_function="Logloss"), tmp_path))
    assert mentions(message, "month as numeric")


@pytest.fixture
def manifest(toy: Path, tmp_path: Path) -> dict[str, Any]:
    """A truthful manifest of a copy of the toy, in the test's own folder."""
    blob = toy.read_bytes()
    (tmp_path / "toy.cbm").write_bytes(blob)
    return {
        "name": "regno",
        "version": "toy-1",
        "file": "toy.cbm",
        "sha256": hashlib.sha256(blob).hexdigest(),
        "features": [{"name": name, "kind": "numeric"} for name in PAIR],
        "vocabularies": {},
        "golden": [],
        "training": {},
        "libraries": {},
        "metrics": {},
    }


def _with_manifest(folder: Path, text: str | bytes) -> Path:
    text = text.encode() if isinstance(text, str) else text
    (folder / "manifest.json").write_bytes(text)
    return folder / "toy.cbm"


def test_a_truthful_manifest_gives_the_version(manifest: dict[str, Any], tmp_path: Path) -> None:
    scorer = RegnoScorer.load(_with_manifest(tmp_path, json.dumps(manifest)))
    assert scorer.version == "toy-1"
    assert scorer.sha256 == manifest["sha256"]


def test_without_a_manifest_the_version_is_of_the_bytes(toy: Path) -> None:
    digest = hashlib.sha256(toy.read_bytes()).hexdigest()
    assert RegnoScorer.load(toy).version == f"sha256-{digest[:12]}"


def test_a_manifest_of_another_file_is_left_alone(manifest: dict[str, Any], tmp_path: Path) -> None:
    other = {**manifest, "file": "other.cbm", "sha256": "0" * 64}
    scorer = RegnoScorer.load(_with_manifest(tmp_path, json.dumps(other)))
    assert scorer.manifest is None


def test_a_manifest_of_other_bytes_is_refused(manifest: dict[str, Any], tmp_path: Path) -> None:
    path = _with_manifest(tmp_path, json.dumps({**manifest, "sha256": "0" * 64}))
    assert "the SHA-256 differs" in _refusal(path)


def test_a_model_changed_under_its_manifest_is_refused(
    manifest: dict[str, Any], tmp_path: Path
) -> None:
    path = _with_manifest(tmp_path, json.dumps(manifest))
    toys.save(toys.train(PAIR, iterations=2), tmp_path)
    assert "the SHA-256 differs" in _refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"file": "toy.cbm"}',
        b"\xff\xfe",
        '{"file": "\\ud800"}',
        "[" * 100_000,
    ],
    ids=["empty", "open", "list", "null", "lacking", "bytes", "surrogate", "deep"],
)
def test_an_unreadable_manifest_is_refused(
    text: str | bytes, manifest: dict[str, Any], tmp_path: Path
) -> None:
    assert manifest
    path = _with_manifest(tmp_path, text)
    assert f"its manifest {tmp_path / 'manifest.json'} can't be read" in _refusal(path)


def test_a_manifest_that_is_a_folder_is_refused(manifest: dict[str, Any], tmp_path: Path) -> None:
    assert manifest
    (tmp_path / "manifest.json").mkdir()
    assert "can't be read" in _refusal(tmp_path / "toy.cbm")
