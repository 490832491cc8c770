"""Files that are not a model to serve: each is refused by the registry's command, by name."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from catboost import CatBoost, Pool

from model.regno import BUNDLED
from tests.support import toys
from tests.support.messages import states, stating
from tests.support.registry import command


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Where a test's registry is."""
    return tmp_path / "models"


def _corrupt(folder: Path) -> Path:
    return _written(folder, b"CBM1" + bytes(64))


def _truncated(folder: Path) -> Path:
    return _written(folder, BUNDLED.read_bytes()[:1_000_000])


def _empty(folder: Path) -> Path:
    return _written(folder, b"")


def _foreign(folder: Path) -> Path:
    return toys.save(toys.train(("hour", "speed")), folder)


def _of_three(folder: Path) -> Path:
    rows = toys.table(toys.NUMERIC_PAIR)
    labels = [n % 3 for n, _ in enumerate(rows)]
    pool = Pool(rows, label=labels, feature_names=list(toys.NUMERIC_PAIR))
    quiet = {"iterations": 2, "verbose": False, "allow_writing_files": False}
    return toys.save(CatBoost({**quiet, "loss_function": "MultiClass"}).fit(pool), folder)


def _regression(folder: Path) -> Path:
    return toys.save(toys.train(toys.NUMERIC_PAIR, loss_function="RMSE"), folder)


def _huge(folder: Path) -> Path:
    path = _written(folder, b"CBM1")
    with path.open("r+b") as file:
        file.truncate(256 * 2**20 + 1)
    return path


def _with_manifest(folder: Path, **changed: object) -> Path:
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    text = json.dumps({**manifest, "file": "given.cbm", **changed})
    (folder / "manifest.json").write_text(text)
    return _written(folder, BUNDLED.read_bytes())


def _of_other_bytes(folder: Path) -> Path:
    return _with_manifest(folder, sha256="0" * 64)


def _of_other_scores(folder: Path) -> Path:
    return _with_manifest(folder, golden=[0.5] * 16)


def _with_broken_manifest(folder: Path) -> Path:
    (folder / "manifest.json").write_text("{")
    return _written(folder, BUNDLED.read_bytes())


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "given.cbm"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (_corrupt, "not a CatBoost model"),
        (_truncated, "not a CatBoost model"),
        (_empty, "empty"),
        (_foreign, "unknown features: speed"),
        (_of_three, "3 classes"),
        (_regression, "no classifier"),
        (_huge, "268435456 bytes"),
        (_of_other_bytes, "SHA-256"),
        (_of_other_scores, "golden row 0 "),
        (_with_broken_manifest, "can't be read"),
    ],
)
def test_what_cant_be_served_is_refused_by_name(
    make: Any, fact: str, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir()
    done = command(tmp_path, "add", make(tmp_path / "given"), "--models", models, expect=1)
    assert states(done.stderr, "python -m model.registry: the model is refused: ", fact)
    assert "/model-" not in done.stderr, "no internal folder is in the message"
    assert not models.exists()


@pytest.mark.parametrize("name", ["none.cbm", "."])
def test_a_file_that_cant_be_read_is_reported(name: str, models: Path, tmp_path: Path) -> None:
    done = command(tmp_path, "add", tmp_path / name, "--models", models, expect=66)
    assert str(tmp_path / name) in done.stderr


def test_a_crashed_loader_is_a_refusal(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real death: the interpreter of the validation process is one that kills itself."""
    from model import ModelRefused
    from model.registry import validation

    suicide = tmp_path / "python"
    suicide.write_text("#!/bin/sh\nkill -SEGV $$\n")
    suicide.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(suicide))
    with pytest.raises(ModelRefused, match=stating("loading", "signal 11")):
        validation.validate(BUNDLED)
    assert not models.exists()
