"""`python -m model.train --data`: own rows in, a model with manifest and report out."""

import csv
import hashlib
import random
import re
import signal
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from model import train
from model.regno import RegnoScorer, golden
from model.regno.evaluation import metrics, plot
from model.regno.model_file.manifest import Manifest
from model.regno.training.simulate import main as simulate_command
from tests.support.labelled import labelled, report, run, scores, write
from tests.support.messages import mentions
from tests.support.server import eventually
from tests.support.terminal import Terminal

MADE = [
    *("REPORT.md", "manifest.json", "regno.cbm", "reliability.png", "report.html", "report.json"),
    "shap.png",
]
ROWS = labelled()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and a run over it in `out`."""
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "rows.csv", ROWS)
    assert run(folder) == 0
    return folder


def test_the_trained_model_agrees_with_its_report_and_manifest(trained: Path) -> None:
    out, result = trained / "out", report(trained / "out")
    assert sorted(path.name for path in out.iterdir()) == MADE
    assert sorted(path.name for path in trained.iterdir()) == ["out", "rows.csv", "tiny.toml"]
    scorer = RegnoScorer.load(out / "regno.cbm")
    scorer.warm()
    assert (scorer.version, scorer.sha256) == (result["version"], result["sha256"])
    assert scorer.version == f"regno-{scorer.sha256[:12]}"
    assert scorer.manifest
    assert scorer.manifest.golden == [score.positive for score in scorer.score(golden.readings())]
    assert [variable.name for variable in scorer.manifest.reference][-1] == "positive"


def test_the_oldest_train_and_the_newest_are_held_out(trained: Path) -> None:
    parts = report(trained / "out")["parts"]
    assert [(part["rows"], part["first"], part["last"]) for part in parts.values()] == [
        (280, ROWS[0]["time_check"], ROWS[279]["time_check"]),
        (60, ROWS[280]["time_check"], ROWS[339]["time_check"]),
        (60, ROWS[340]["time_check"], ROWS[399]["time_check"]),
    ]
    assert list(parts) == ["train", "validation", "held_out"]


def test_the_figures_are_those_of_the_served_model_on_the_newest_rows(trained: Path) -> None:
    import numpy as np

    result, newest = report(trained / "out"), ROWS[340:]
    positives = np.array(scores(trained / "out" / "regno.cbm", newest))
    labels = np.array([row["label"] for row in newest])
    assert result["model"] == pytest.approx(metrics.measures(labels, positives))
    assert sum(b["rows"] for b in result["reliability"]) == 60
    drawn = plot.reliability(result["reliability"])
    assert (trained / "out/reliability.png").read_bytes() == drawn
    text = (trained / "out/REPORT.md").read_text(encoding="utf-8")
    assert "](reliability.png)" in text
    assert sum(s["rows"] for s in result["by_camera_class"].values()) == 60


def test_the_rows_are_reported_by_name_and_hash(trained: Path) -> None:
    digest = hashlib.sha256((trained / "rows.csv").read_bytes()).hexdigest()
    data = {"file": "rows.csv", "sha256": digest, "label": "label", "rows": 400, "left_out": {}}
    data |= {"warnings": {}, "plate_lengths": 11, "weights": ""}
    assert report(trained / "out")["data"] == data
    manifest = msgspec.json.decode((trained / "out/manifest.json").read_bytes(), type=Manifest)
    assert manifest.training["data"] == data
    assert manifest.training["parameters"]["catboost"]["depth"] == 3
    assert manifest.training["last"] == ROWS[339]["time_check"]
    assert manifest.vocabularies["month"] == ["March"]


def test_no_plate_is_in_the_output_or_the_reports(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trained, "--against", trained / "out/regno.cbm", out="reported") == 0
    output = "".join(capsys.readouterr())
    for name in set(MADE) - {"regno.cbm", "reliability.png", "shap.png"}:
        output += (trained / "reported" / name).read_text(encoding="utf-8")
    plates = {row[name] for row in ROWS for name in ("regno_recognize", "afts_regno_ai")}
    assert [plate for plate in plates if plate in output] == []
    assert str(trained) not in (trained / "reported" / "report.json").read_text(encoding="utf-8")


def test_the_same_rows_and_seed_give_the_same_predictions(trained: Path) -> None:
    assert run(trained, out="again") == 0
    assert run(trained, "--seed", 2, out="other") == 0
    first, again, other = (
        scores(trained / o / "regno.cbm", ROWS) for o in ("out", "again", "other")
    )
    assert first == again
    assert first != other
    name = ("version", "sha256", "seconds", "commit")  # somebody may commit meanwhile
    once, twice = (
        {k: v for k, v in report(trained / o).items() if k not in name} for o in ("out", "again")
    )
    assert once == twice


def test_the_order_of_the_file_does_not_matter(tmp_path: Path, trained: Path) -> None:
    mixed = list(ROWS)
    random.Random(1).shuffle(mixed)
    write(tmp_path / "rows.csv", mixed)
    assert run(tmp_path) == 0
    model = Path("out/regno.cbm")
    assert scores(tmp_path / model, ROWS) == scores(trained / model, ROWS)
    assert report(tmp_path / "out")["parts"] == report(trained / "out")["parts"]


def test_training_stops_early_and_keeps_the_best_trees(tmp_path: Path, trained: Path) -> None:
    write(tmp_path / "rows.csv", ROWS)
    (tmp_path / "tiny.toml").write_text(
        "[catboost]\niterations = 400\nearly_stopping_rounds = 5\nlearning_rate = 0.5\ndepth = 3\n",
        encoding="utf-8",
    )
    assert run(tmp_path) == 0
    trees, limited = report(tmp_path / "out")["trees"], report(trained / "out")
    assert trees["stopped_early"]
    assert 0 < trees["kept"] < 395
    assert limited["trees"]["stopped_early"] is False
    assert any(mentions(each, "limit of 12 trees") for each in limited["warnings"])


def test_a_label_column_of_ones_own_name(tmp_path: Path) -> None:
    rows = [{**row, "верно": f"{row['label']}.0"} for row in ROWS]
    for row in rows:
        del row["label"]
    write(tmp_path / "rows.csv", rows, "верно")
    assert run(tmp_path, "--label", "верно") == 0
    assert report(tmp_path / "out")["data"]["label"] == "верно"


def test_shares_are_chosen_in_the_parameters(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", ROWS)
    shares = "[split]\nvalidation = 0.1\nheld_out = 0.25\n[catboost]\niterations = 3\n"
    (tmp_path / "tiny.toml").write_text(shares, encoding="utf-8")
    assert run(tmp_path) == 0
    parts = report(tmp_path / "out")["parts"]
    assert [part["rows"] for part in parts.values()] == [260, 40, 100]


def test_simulated_rows_with_labels_can_be_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["simulate", str(tmp_path / "rows.csv"), "--rows", "300", "--label", "label"]
    monkeypatch.setattr(sys, "argv", arguments)
    simulate_command()
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"0", "1"}
    assert run(tmp_path) == 0


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--data", "rows.csv", "--add"), ("--add needs", "--models")),
        (("--data", "rows.csv", "--name", "trial"), ("--name needs", "--models")),
        (("--data", "rows.csv", "--cache", "copies"), ("--cache needs", "--models")),
        (("--models", "models", "--add"), ("--models needs", "--data")),
        (("--data", "rows.csv", "--out", "new", "--rows", "300"), ("--rows is", "simulated")),
        (("--skip-bad",), ("--skip-bad needs", "--data")),
        (("--against", "a.cbm"), ("--against needs", "--data")),
        (("--parameters", "a.toml"), ("--parameters needs", "--data")),
        (("--label", "truth"), ("--label needs", "--data")),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple[str, ...], facts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        train.main(options)
    assert stop.value.code == 2
    assert mentions(capsys.readouterr().err, *facts)


def test_a_folder_that_holds_something_is_left_alone(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "out/regno.cbm").read_bytes()
    assert run(trained) == 73
    assert mentions(capsys.readouterr().err, "out", "new or empty folder")
    assert (trained / "out/regno.cbm").read_bytes() == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", ROWS)
    (tmp_path / "out").mkdir()
    assert run(tmp_path) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == MADE


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(tmp_path: Path, how: signal.Signals, status: int) -> None:
    with closing(Terminal(tmp_path)) as terminal:
        eventually(lambda: terminal.shows("/100000"), "a tree on the bar")
        terminal.process.send_signal(how)
        assert terminal.process.wait(timeout=60) == status
        assert terminal.shows("python -m model.train: stopped")
        assert terminal.shown.startswith("\rReading:")
        assert "Traceback" not in terminal.shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.toml", "rows.csv"]


@pytest.mark.slow
def test_no_bar_is_drawn_if_none_is_wanted(tmp_path: Path) -> None:
    with closing(Terminal(tmp_path, "--no-progress")) as terminal:
        eventually(lambda: bool(list(tmp_path.glob(".out.*.part"))), "the run's folder")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(timeout=60) == 143
        assert terminal.shows("stopped")
        assert terminal.shown == "python -m model.train: stopped\r\n"


def test_no_bar_is_drawn_without_a_terminal(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trained, out="quiet") == 0
    captured = capsys.readouterr()
    assert "Training" not in captured.err
    assert re.match(r"regno-[0-9a-f]{12} in .*/quiet, \d+\.\d s; rows: train 280, ", captured.out)
