"""Digits in a registry: versions, golden pictures, the drift reference of own pictures."""

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from model.digits import BUNDLED, MODEL
from model.digits.drawing import Pen, drawn
from model.digits.manifest import Manifest
from tests.support.commands import Done, run_module
from tests.support.paths import ROOT
from tests.support.pictures import file_of


def _registry(folder: Path, *arguments: object) -> Done:
    named = ("--models", folder / "models", "--name", "digits")
    return run_module(folder, "model.registry", *arguments, *named, cwd=ROOT)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of pictures of own making: dark on light, of 120 pixels; one of them is blank."""
    path = tmp_path_factory.mktemp("digits") / "pictures.csv"
    pictures = [
        255 - drawn(number % 10, Pen(2.0 + number / 10), (120, 110)) for number in range(20)
    ]
    cells = [b64encode(file_of(Image.fromarray(one), "PNG")).decode() for one in pictures]
    blank = b64encode(file_of(Image.new("L", (9, 9)), "PNG")).decode()
    path.write_text("image\n" + "\n".join((*cells, blank)) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(table: Path) -> Path:
    """The folder of a registry with one version, whose reference is of these pictures."""
    arguments = (BUNDLED, "--version", "own", "--reference-from", table)
    done = _registry(table.parent, "add", *arguments)
    assert done.returncode == 0, done.stderr
    return table.parent


def test_a_version_has_the_reference_of_own_pictures(folder: Path) -> None:
    file = folder / "models" / "digits" / "own" / "manifest.json"
    manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    variables = {variable.name: variable for variable in manifest.reference}
    assert list(variables) == ["brightness", "ink", "size", "positive"]
    assert (variables["size"].bounds, variables["size"].shares) == ([120.0], [1.0, 0.0])
    assert variables["brightness"].bounds[0] > 0.7
    scorer = MODEL.load(file.with_name("model.onnx"))
    assert scorer.version == "own"
    scorer.validate()


def test_a_version_is_promoted_and_rolled_back(folder: Path) -> None:
    assert _registry(folder, "promote", "own").returncode == 0
    added = _registry(folder, "add", BUNDLED, "--version", "bundled")
    assert added.returncode == 0, added.stderr
    assert _registry(folder, "promote", "bundled").returncode == 0
    assert "bundled" in _registry(folder, "list").stdout
    assert _registry(folder, "rollback").returncode == 0


def test_a_damaged_file_is_not_added(folder: Path) -> None:
    path = folder / "cut.onnx"
    path.write_bytes(BUNDLED.read_bytes()[:100_000])
    done = _registry(folder, "add", path)
    assert done.returncode == 1
    assert "ONNX" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_is_said_what_to_install(folder: Path) -> None:
    (folder / "without").mkdir()
    missing = 'raise ModuleNotFoundError("none", name="onnxruntime")'
    (folder / "without" / "onnxruntime.py").write_text(missing)
    done = run_module(
        *(folder, "model.registry", "add", BUNDLED, "--version", "y"),
        *("--models", folder / "models", "--name", "digits"),
        settings={"PYTHONPATH": str(folder / "without")},
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "plate-scoring[images]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_without_pictures_is_no_reference(folder: Path) -> None:
    path = folder / "no_pictures.csv"
    path.write_text("image\naGVsbG8=\n")
    done = _registry(folder, "add", BUNDLED, "--version", "x", "--reference-from", path)
    assert done.returncode != 0
    assert "no row" in done.stderr
