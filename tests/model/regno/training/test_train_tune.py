"""The search for hyper-parameters: kept in a file, resumed after a stop, then trained by."""

import os
import signal
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.support.labelled import labelled, report, run, write
from tests.support.messages import mentions
from tests.support.server import eventually
from tests.support.terminal import Terminal

Captured = pytest.CaptureFixture[str]
ROWS = labelled(500)
TUNE = """
[catboost]
iterations = 30
early_stopping_rounds = 10
depth = 3
[tune]
rows = 200
iterations = 8
[tune.ranges]
depth = [2, 4]
leaf_estimation_iterations = [2, 2]
"""
SEARCHED = {
    *("learning_rate", "depth", "l2_leaf_reg", "random_strength", "subsample"),
    "leaf_estimation_iterations",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows and parameters of a small search."""
    write(tmp_path / "rows.csv", ROWS)
    (tmp_path / "tiny.toml").write_text(TUNE, encoding="utf-8")
    return tmp_path


def test_the_model_is_trained_by_the_parameters_that_were_found(
    folder: Path, capsys: Captured
) -> None:
    assert run(folder, "--tune", 7) == 0
    result, shown = report(folder / "out"), capsys.readouterr().out
    search = result["search"]
    assert (search["trials"], search["rows"], search["trees"]) == (7, 200, 8)
    assert search["chosen"].keys() == SEARCHED
    assert search["chosen"]["leaf_estimation_iterations"] == 2
    assert search["best"] <= search["usual"]
    catboost = result["parameters"]["catboost"]
    assert {name: catboost[name] for name in SEARCHED} == search["chosen"]
    assert catboost["iterations"] == 30
    assert mentions(shown, "7 trials", f"log loss {search['best']:.4f}")
    assert "### Search for parameters" in (folder / "out/REPORT.md").read_text("utf-8")
    assert (folder / "out/study.log").stat().st_size > 0
    # The file of trials goes along with the model, and the next search begins anew.
    assert run(folder, "--tune", 7) == 73


def test_a_search_that_goes_on_finds_what_one_in_one_go_finds(folder: Path) -> None:
    assert run(folder, "--tune", 3, out="begun") == 0
    (folder / "out").mkdir()
    (folder / "begun/study.log").rename(folder / "out/study.log")
    assert run(folder, "--tune", 6) == 0
    assert run(folder, "--tune", 6, out="whole") == 0
    assert report(folder / "out")["search"] == report(folder / "whole")["search"]
    assert report(folder / "out")["model"] == report(folder / "whole")["model"]


def test_a_folder_of_trials_is_left_alone_by_a_run_without_a_search(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/study.log").touch()
    assert run(folder) == 73
    assert [path.name for path in (folder / "out").iterdir()] == ["study.log"]


@pytest.mark.parametrize("change", ["rows", "parameters", "seed"])
def test_trials_of_another_search_are_refused(folder: Path, change: str, capsys: Captured) -> None:
    assert run(folder, "--tune", 2, out="begun") == 0
    (folder / "out").mkdir()
    (folder / "begun/study.log").rename(folder / "out/study.log")
    if change == "rows":
        write(folder / "rows.csv", ROWS[1:])
    if change == "parameters":
        (folder / "tiny.toml").write_text(TUNE.replace("= 30", "= 31"), encoding="utf-8")
    options = ("--seed", 2) if change == "seed" else ()
    assert run(folder, "--tune", 3, *options) == 73
    facts = ("study.log", "rows", "parameters", "seed", "--out")
    assert mentions(capsys.readouterr().err, *facts)
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["study.log"]


def test_a_bootstrap_without_subsample_can_be_searched(folder: Path) -> None:
    bayesian = TUNE.replace("depth = 3\n", "depth = 3\nbootstrap_type = 'Bayesian'\n", 1)
    (folder / "tiny.toml").write_text(bayesian, encoding="utf-8")
    assert run(folder, "--tune", 2) == 0
    assert report(folder / "out")["search"]["chosen"].keys() == SEARCHED - {"subsample"}


def test_a_search_needs_a_folder_to_keep_its_trials_in(capsys: Captured) -> None:
    from model import train

    with pytest.raises(SystemExit) as stop:
        train.main(["--data", "rows.csv", "--tune", "5"])
    assert stop.value.code == 2
    assert mentions(capsys.readouterr().err, "--tune needs", "--out")


@pytest.mark.parametrize("number", [2, 3, 11, 12, 20])
def test_a_signal_amid_a_write_is_a_stop_that_leaves_the_trials_whole(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first writes make the study; 11 and 20 are made within CatBoost's callback."""
    parameters = TUNE.replace("iterations = 8", "iterations = 10")
    (folder / "tiny.toml").write_text(parameters, encoding="utf-8")
    writes, fsync = count(1), os.fsync

    def interrupted(descriptor: int) -> None:
        fsync(descriptor)
        if next(writes) == number:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        assert run(folder, "--tune", 3) == 130
    assert [path.name for path in (folder / "out").iterdir()] == ["study.log"]
    assert run(folder, "--tune", 3) == 0
    assert run(folder, "--tune", 3, out="whole") == 0
    assert report(folder / "out")["search"] == report(folder / "whole")["search"]


@pytest.mark.slow
def test_a_stop_keeps_what_was_done(tmp_path: Path) -> None:
    with closing(Terminal(tmp_path, "--tune", "1000", depth=2, trees=20)) as terminal:
        eventually(lambda: terminal.shows("2/1000"), "two trials on the bar")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(timeout=60) == 130
        assert terminal.shows("out/study.log")
        assert mentions(terminal.shown, "stopped", "of 1000 trials", "out/study.log")
        assert "Traceback" not in terminal.shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.toml", "out", "rows.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["study.log"]
