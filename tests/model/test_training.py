"""Training is repeatable, and the committed model is the one its papers describe."""

import hashlib
import json
from collections.abc import Callable
from itertools import starmap
from pathlib import Path

import msgspec
import numpy as np
import pytest

from model import train as command
from model.regno.evaluation import card, markdown, plot
from model.regno.features import CATEGORICAL, NAMES, NUMERIC, TEXT, all_features
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from model.regno.request import from_fields
from model.regno.training import bundled, training
from model.regno.training.simulate import simulate
from tests.support.vacuous import nonempty

FOLDER = Path(command.__file__).with_name("regno")
LIMIT = 2 * 1024 * 1024
TINY = {**training.PARAMETERS, "iterations": 4, "depth": 3}


def _papers(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


def _golden(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_bytes().splitlines()]


def _golden_probabilities(folder: Path) -> list[float]:
    rows = [all_features(from_fields(**request)) for request in _golden(folder)]
    model = BinaryModel.load(folder / "regno.cbm")
    return [positive for _, positive in model.probabilities(rows)]


@pytest.fixture(scope="module")
def papers() -> Manifest:
    return _papers(FOLDER)


def test_a_table_has_the_contracts_columns_and_a_label_each() -> None:
    samples = simulate(50, seed=3)
    rows = training.table(samples)
    assert [len(row) for row in rows] == [len(NAMES)] * 50
    assert training.labels(samples).tolist() == [sample.label for sample in samples]


def test_vocabularies_are_the_sorted_values_that_occur() -> None:
    samples = simulate(50, seed=3)
    found = training.vocabularies(samples)
    assert tuple(found) == CATEGORICAL
    lines = {str(sample.request["camera_class"]) for sample in samples}
    assert found["camera_class"] == sorted(lines)


def test_the_same_seed_trains_the_same_predictions() -> None:
    samples = simulate(400, seed=3)
    rows = training.table(samples)
    first, second, other = (
        training.train(samples, seed, TINY).predict_proba(rows).tobytes() for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("option", "value"), [("--rows", "10"), ("--seed", "-1"), ("--rows", "many")]
)
def test_the_command_refuses_what_it_cannot_do(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main([option, value, "--out", str(tmp_path / "new")])
    assert stop.value.code == 2
    assert option in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.fixture
def tiny_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.setattr(training, "PARAMETERS", TINY)
    monkeypatch.setattr(training.train, "__defaults__", (TINY,))

    def run(name: str) -> Path:
        out = tmp_path / name
        assert command.main(["--rows", "400", "--seed", "9", "--out", str(out)]) == 0
        return out

    return run


@pytest.mark.slow
def test_two_runs_of_the_command_agree(
    tiny_runs: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(tiny_runs, ("one", "two"))
    assert sorted(path.name for path in first.iterdir()) == [
        *("MODEL_CARD.md", "golden.jsonl", "manifest.json", "regno.cbm", "reliability.png")
    ]
    before, after = _papers(first), _papers(second)
    assert before.golden == after.golden == _golden_probabilities(first)
    assert before.metrics == after.metrics
    assert before.training["rows"] == 400
    assert before.training["parameters"]["iterations"] == 4
    assert before.version in capsys.readouterr().out
    for name in ("golden.jsonl", "reliability.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.slow
def test_a_second_run_replaces_the_first(tiny_runs: Callable[[str], Path]) -> None:
    names = {path.name for path in tiny_runs("one").iterdir()}
    out = tiny_runs("one")
    assert {path.name for path in out.iterdir()} == names
    assert _papers(out).golden == _golden_probabilities(out)


def test_the_committed_manifest_is_of_the_committed_file(papers: Manifest) -> None:
    blob = (FOLDER / papers.file).read_bytes()
    assert papers.sha256 == hashlib.sha256(blob).hexdigest()
    assert papers.version == f"regno-sim-{papers.sha256[:8]}"
    assert len(blob) <= LIMIT


def test_the_committed_model_declares_the_contracts_features(papers: Manifest) -> None:
    model = BinaryModel.load(FOLDER / papers.file)
    kinds = {
        **dict.fromkeys(NUMERIC, "numeric"),
        **dict.fromkeys(CATEGORICAL, "categorical"),
        **dict.fromkeys(TEXT, "text"),
    }
    assert model.features == [(name, kinds[name]) for name in NAMES]
    assert [(feature.name, feature.kind) for feature in papers.features] == model.features


def test_the_committed_golden_requests_are_the_simulators() -> None:
    golden = _golden(FOLDER)
    assert golden == bundled.golden_requests()
    assert golden[0] == bundled.EXAMPLE
    assert len(golden) == 16
    assert "А939НО196" in (FOLDER / "golden.jsonl").read_text(encoding="utf-8")


def test_the_committed_golden_probabilities_are_the_models(papers: Manifest) -> None:
    assert papers.golden == pytest.approx(_golden_probabilities(FOLDER), abs=1e-12, rel=0)


def test_every_golden_category_was_seen_in_training(papers: Manifest) -> None:
    for request in nonempty(_golden(FOLDER)):
        row = dict(zip(NAMES, all_features(from_fields(**request)), strict=True))
        assert all(row[name] in papers.vocabularies[name] for name in CATEGORICAL)


def test_the_committed_model_beats_both_plain_rules(papers: Manifest) -> None:
    contenders = dict(papers.metrics["contenders"])
    model = contenders.pop("model")
    assert set(contenders) >= {"always_network", "score_over_half"}
    for rule in contenders.values():
        assert model["auc"] > rule["auc"] + 0.05
        assert model["accuracy"] > rule["accuracy"]
        for measure in ("brier", "log_loss", "calibration_error"):
            assert model[measure] < rule[measure]
    assert model["calibration_error"] < 0.02


@pytest.mark.slow
def test_the_committed_figures_come_out_again_on_the_held_out_rows() -> None:
    papers = _papers(FOLDER)
    rows, train_rows = papers.training["rows"], papers.training["train_rows"]
    held_out = simulate(rows, papers.training["seed"])[train_rows:]
    found = bundled.metrics(BinaryModel.load(FOLDER / papers.file), held_out)
    assert found["contenders"]["model"] == pytest.approx(papers.metrics["contenders"]["model"])


def test_the_committed_borders_are_those_of_the_file(papers: Manifest) -> None:
    assert papers.borders == BinaryModel.load(FOLDER / papers.file).borders() != {}


def test_the_card_says_what_the_manifest_says(papers: Manifest) -> None:
    size = (FOLDER / papers.file).stat().st_size
    text = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text == card.text(papers, size)
    assert "SIMULATED" in text
    assert papers.sha256 in text
    assert all(line in text for line in papers.metrics["by_camera_class"])


def test_the_plot_is_a_small_picture(papers: Manifest) -> None:
    png = plot.reliability(papers.metrics["reliability"])
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000
    assert (FOLDER / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_is_no_number_is_a_dash_in_the_card() -> None:
    assert list(starmap(markdown.figure, [(float("nan"),), (0.25,), (12,)])) == [
        "–",
        "0.2500",
        "12",
    ]


def test_predictions_are_probabilities() -> None:
    samples = simulate(400, seed=3)
    found = training.train(samples, 5, TINY).predict_proba(training.table(samples))
    assert np.all((found >= 0) & (found <= 1))
