"""Training is repeatable, and the committed model is the one that its manifest describes."""

import hashlib
import json
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from model import train as command
from model.cli import Exit, stop_signals
from model.regno import RegnoScorer, golden
from model.regno.evaluation import plot, render
from model.regno.features import CATEGORICAL, KINDS, NAMES, NUMERIC, SETS, TEXT, all_features
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from model.regno.request import from_fields
from model.regno.scorer import BUNDLED
from model.regno.training import bundled, fit
from model.regno.training.simulate import simulate
from tests.support.vacuous import nonempty

FOLDER = BUNDLED.parent
LIMIT = 2 * 1024 * 1024
TINY = {**fit.PARAMETERS, "iterations": 4, "depth": 3}


def _manifest(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


def _golden(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_bytes().splitlines()]


def _golden_probabilities(folder: Path) -> list[float]:
    rows = [all_features(from_fields(**request)) for request in _golden(folder)]
    model = BinaryModel.load(folder / "regno.cbm")
    return [positive for _, positive in model.probabilities(rows)]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return _manifest(FOLDER)


def test_a_table_has_the_contracts_columns_and_a_label_each() -> None:
    samples = simulate(50, seed=3)
    rows = fit.table(samples)
    assert [len(row) for row in rows] == [len(NAMES)] * 50
    assert fit.labels(samples).tolist() == [sample.label for sample in samples]


def test_vocabularies_are_the_sorted_values_that_occur() -> None:
    samples = simulate(50, seed=3)
    result = fit.vocabularies(samples)
    assert tuple(result) == CATEGORICAL
    lines = {str(sample.request["camera_class"]) for sample in samples}
    assert result["camera_class"] == sorted(lines)


def test_the_same_seed_trains_the_same_predictions() -> None:
    samples = simulate(400, seed=3)
    rows = fit.table(samples)
    pool = fit.pool(rows, fit.labels(samples))
    first, second, other = (
        fit.train(pool, seed, TINY).predict_proba(rows).tobytes() for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_callback_of_catboost_is_a_stop(number: int) -> None:
    samples = simulate(400, seed=3)
    pool = fit.pool(fit.table(samples), fit.labels(samples))

    def interrupted(_: object) -> bool:
        signal.raise_signal(number)
        return True

    with stop_signals() as signals, pytest.raises(Exit) as stop:
        fit.train(pool, 5, TINY, run=fit.Run(signals=signals, watch=interrupted))
    assert stop.value.status == 128 + number


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
def tiny_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setattr(fit, "PARAMETERS", TINY)
    monkeypatch.setattr(fit.train, "__defaults__", (TINY,))

    def run(name: str, *options: str) -> Path:
        out = tmp_path / name
        assert command.main(["--rows", "400", "--seed", "9", "--out", str(out), *options]) == 0
        return out

    return run


@pytest.mark.slow
def test_two_runs_of_the_command_agree(
    tiny_runs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(tiny_runs, ("one", "two"))
    assert sorted(path.name for path in first.iterdir()) == [
        *("MODEL_CARD.md", "golden.jsonl", "manifest.json", "regno.cbm", "reliability.png")
    ]
    before, after = _manifest(first), _manifest(second)
    assert before.golden == after.golden == _golden_probabilities(first)
    assert before.metrics == after.metrics
    assert before.training["rows"] == 400
    assert before.training["parameters"]["iterations"] == 4
    assert before.version in capsys.readouterr().out
    for name in ("golden.jsonl", "reliability.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.slow
def test_a_second_run_replaces_the_first(tiny_runs: Callable[..., Path]) -> None:
    names = {path.name for path in tiny_runs("one").iterdir()}
    out = tiny_runs("one")
    assert {path.name for path in out.iterdir()} == names
    assert _manifest(out).golden == _golden_probabilities(out)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", SETS)
def test_the_simulated_rows_train_each_feature_set(
    tiny_runs: Callable[..., Path], chosen: str
) -> None:
    out = tiny_runs(chosen, "--features", chosen)
    scorer = RegnoScorer.load(out / "regno.cbm", warm=True)
    assert scorer.table.features == [(name, KINDS[name]) for name in SETS[chosen]]
    made = _manifest(out)
    assert made.training["features"] == chosen
    assert {*made.vocabularies} == {*CATEGORICAL}
    shown = "" if chosen == "v1" else f" --features {chosen}"
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"`python -m model.train --rows 400 --seed 9{shown}`" in card


def test_the_committed_manifest_is_of_the_committed_file(manifest: Manifest) -> None:
    blob = (FOLDER / manifest.file).read_bytes()
    assert manifest.sha256 == hashlib.sha256(blob).hexdigest()
    assert manifest.version == f"regno-sim-{manifest.sha256[:8]}"
    assert len(blob) <= LIMIT


def test_the_committed_model_declares_the_contracts_features(manifest: Manifest) -> None:
    model = BinaryModel.load(FOLDER / manifest.file)
    kinds = {
        **dict.fromkeys(NUMERIC, "numeric"),
        **dict.fromkeys(CATEGORICAL, "categorical"),
        **dict.fromkeys(TEXT, "text"),
    }
    assert model.features == [(name, kinds[name]) for name in NAMES]
    assert [(feature.name, feature.kind) for feature in manifest.features] == model.features


def test_the_committed_golden_requests_are_the_simulators() -> None:
    requests = _golden(FOLDER)
    assert requests == bundled.golden_requests()
    assert requests[0] == golden.example()
    assert len(requests) == 16
    assert "А939НО196" in (FOLDER / "golden.jsonl").read_text(encoding="utf-8")


def test_the_committed_golden_probabilities_are_the_models(manifest: Manifest) -> None:
    assert manifest.golden == pytest.approx(_golden_probabilities(FOLDER), abs=1e-12, rel=0)


def test_every_golden_category_was_seen_in_training(manifest: Manifest) -> None:
    for request in nonempty(_golden(FOLDER)):
        row = dict(zip(NAMES, all_features(from_fields(**request)), strict=True))
        assert all(row[name] in manifest.vocabularies[name] for name in CATEGORICAL)


def test_the_committed_model_beats_both_plain_rules(manifest: Manifest) -> None:
    model, baselines = manifest.metrics["model"], manifest.metrics["baselines"]
    assert set(baselines) >= {"always_network", "score_over_half"}
    for rule in baselines.values():
        assert model["auc"] > rule["auc"] + 0.05
        assert model["accuracy"] > rule["accuracy"]
        for measure in ("brier", "log_loss", "calibration_error"):
            assert model[measure] < rule[measure]
    assert model["calibration_error"] < 0.02


def _numbers(metrics: object, path: str = "") -> dict[str, float]:
    """Every number in nested mappings and lists, by its path."""
    if isinstance(metrics, int | float):
        return {path: float(metrics)}
    assert isinstance(metrics, dict | list)
    parts = metrics.items() if isinstance(metrics, dict) else enumerate(metrics)
    return {k: v for key, part in parts for k, v in _numbers(part, f"{path}/{key}").items()}


@pytest.mark.slow
def test_the_committed_figures_come_out_again_on_the_held_out_rows() -> None:
    manifest = _manifest(FOLDER)
    rows, train_rows = manifest.training["rows"], manifest.training["train_rows"]
    held_out = simulate(rows, manifest.training["seed"])[train_rows:]
    model = BinaryModel.load(FOLDER / manifest.file)
    positives = [positive for _, positive in model.probabilities(fit.table(held_out))]
    summary = bundled.summary(held_out, positives)
    assert _numbers(summary) == pytest.approx(_numbers(manifest.metrics), abs=1e-9, rel=0)


def test_the_committed_borders_are_those_of_the_file(manifest: Manifest) -> None:
    assert manifest.borders == BinaryModel.load(FOLDER / manifest.file).borders() != {}


def test_the_card_says_what_the_manifest_says(manifest: Manifest) -> None:
    size = (FOLDER / manifest.file).stat().st_size
    text = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text == render.card(manifest, size)
    assert "SIMULATED" in text
    assert manifest.sha256 in text
    assert all(line in text for line in manifest.metrics["by_camera_class"])


def test_the_plot_is_a_small_picture(manifest: Manifest) -> None:
    png = plot.reliability(manifest.metrics["reliability"])
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000
    assert (FOLDER / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_the_card_is_rendered_anew_from_the_manifest(tmp_path: Path) -> None:
    for name in ("manifest.json", "regno.cbm"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    render.write_card(tmp_path)
    assert (tmp_path / "MODEL_CARD.md").read_bytes() == (FOLDER / "MODEL_CARD.md").read_bytes()
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_tables_show_four_decimals_and_a_dash_for_a_missing_number() -> None:
    assert [render.figure(value) for value in (float("nan"), None, 0.25, 12, "a|b")] == [
        *("–", "–", "0.2500", "12", "a\\|b")
    ]


def test_predictions_are_probabilities() -> None:
    samples = simulate(400, seed=3)
    rows = fit.table(samples)
    result = fit.train(fit.pool(rows, fit.labels(samples)), 5, TINY).predict_proba(rows)
    assert np.all((result >= 0) & (result <= 1))
