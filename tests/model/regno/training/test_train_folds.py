"""Rolling-origin cross-validation: windows of the past, each measured by the rows before it."""

from pathlib import Path

import numpy as np
import pytest

from model.regno.dataset.split import SplitShares
from model.regno.training import folds
from tests.support.labelled import labelled, report, run, write
from tests.support.messages import mentions

Captured = pytest.CaptureFixture[str]
ROWS = labelled(1000)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and a run in four windows over it."""
    folder = tmp_path_factory.mktemp("folds")
    write(folder / "rows.csv", ROWS)
    assert run(folder, "--folds", 4) == 0
    return folder


def test_the_windows_follow_each_other_up_to_the_held_out_rows(trained: Path) -> None:
    windows = report(trained / "out")["folds"]
    assert [window["rows"] for window in windows] == [150] * 4
    assert [window["trained_on"] for window in windows] == [250, 400, 550, 700]
    first = [ROWS[at]["time_check"] for at in (400, 550, 700, 850)]
    last = [ROWS[at]["time_check"] for at in (549, 699, 849, 999)]
    assert [window["first"] for window in windows] == first
    assert [window["last"] for window in windows] == last


def test_a_window_is_measured_as_if_the_later_rows_did_not_exist(trained: Path) -> None:
    windows = report(trained / "out")["folds"]
    (trained / "past").mkdir()
    write(trained / "past/rows.csv", ROWS[:850])
    shares = f"[split]\nvalidation = {150 / 850}\nheld_out = {150 / 850}\n"
    tiny = (trained / "tiny.toml").read_text("utf-8")
    (trained / "past/tiny.toml").write_text(shares + tiny, encoding="utf-8")
    assert run(trained / "past") == 0
    assert report(trained / "past/out")["model"] == windows[2]["metrics"]


def test_the_newest_window_is_that_of_a_run_without_folds(trained: Path) -> None:
    assert run(trained, out="single") == 0
    single, several = report(trained / "single"), report(trained / "out")
    assert single["folds"] == []
    assert several["model"] == single["model"] == several["folds"][-1]["metrics"]


def test_mean_and_deviation_are_shown(trained: Path, capsys: Captured) -> None:
    assert run(trained, "--folds", 2, out="two") == 0
    logs = [window["metrics"]["log_loss"] for window in report(trained / "two")["folds"]]
    shown = f"log_loss {np.mean(logs):.4f} ± {np.std(logs, ddof=1):.4f}"
    assert shown in capsys.readouterr().out
    text = (trained / "two/REPORT.md").read_text(encoding="utf-8")
    assert "### Windows of the past" in text
    assert f"{np.std(logs, ddof=1):.4f}" in text


def test_more_windows_than_there_is_room_for_are_refused(trained: Path, capsys: Captured) -> None:
    assert run(trained, "--folds", 6, out="many") == 78
    assert "--folds 6 is refused" in capsys.readouterr().err
    folds.check(5, SplitShares(validation=0.15, held_out=0.15))


def test_a_window_that_is_too_small_is_named(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "rows.csv", labelled(260))
    assert run(tmp_path, "--folds", 3) == 65
    assert mentions(capsys.readouterr().err, "fold 1 of 3", "182 good rows")
    assert not (tmp_path / "out").exists()
