"""The learning curve: models of parts of the training rows, measured on the same held-out rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import DataRefused
from model.regno.evaluation.bootstrap import Difference
from model.regno.evaluation.report import LearningCurve
from model.regno.training import learning_curve, measuring
from tests.support.labelled import labelled, report, run, write
from tests.support.messages import stating

Captured = pytest.CaptureFixture[str]
ROWS = labelled(1000)
METRICS = {"auc", "accuracy", "brier", "log_loss", "calibration_error"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and a run with a curve of three points."""
    folder = tmp_path_factory.mktemp("curve")
    write(folder / "rows.csv", ROWS)
    assert run(folder, "--learning-curve", 3) == 0
    return folder


def _curve(folder: Path) -> Any:
    return report(folder / "out")["learning_curve"]


def test_each_point_has_twice_the_rows_and_the_last_is_the_model_itself(trained: Path) -> None:
    points = _curve(trained)["points"]
    assert [point["rows"] for point in points] == [175, 350, 700]
    made = report(trained / "out")
    last = points[-1]
    assert last["trees"] == made["trees"]["kept"]
    assert last["metrics"] == made["intervals"]
    for point in points:
        assert point["metrics"].keys() == METRICS
        for of in point["metrics"].values():
            assert of["low"] <= of["value"] <= of["high"]


def test_the_doubling_is_the_difference_of_the_last_two_points(trained: Path) -> None:
    curve = _curve(trained)
    half, whole = (point["metrics"] for point in curve["points"][-2:])
    for name, of in curve["doubling"].items():
        assert (of["new"], of["other"]) == (whole[name]["value"], half[name]["value"])
        assert of["difference"] == pytest.approx(of["new"] - of["other"], abs=1e-15)


def test_a_part_is_a_random_one_of_the_whole_training_period(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noted(split: Any, job: Any) -> Any:
        seen.append(split)
        return measuring.trained(split, job)

    monkeypatch.setattr("model.regno.training.learning_curve.trained", noted)
    assert run(trained, "--learning-curve", 3, out="again") == 0
    quarter, half = (set(split.train.times.tolist()) for split in seen)
    assert quarter < half
    in_order = [row["time_check"] for row in ROWS]
    for split in seen:
        assert list(split.train.times) == sorted(split.train.times)
        places = [in_order.index(str(time).replace("T", " ")) for time in split.train.times]
        assert max(places) < 700
        assert 250 < np.mean(places) < 450
        assert np.array_equal(split.held_out.times, seen[0].held_out.times)
    assert _curve(trained) == report(trained / "again")["learning_curve"]


def test_the_report_shows_the_curve(trained: Path, capsys: Captured) -> None:
    text = (trained / "out/REPORT.md").read_text(encoding="utf-8")
    assert "### Learning curve" in text
    assert "](learning_curve.png)" in text
    assert (trained / "out/learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert run(trained, "--learning-curve", 2, out="two") == 0
    doubling = report(trained / "two")["learning_curve"]["doubling"]["log_loss"]
    shown = f"log_loss {doubling['difference']:+.4f} ({doubling['verdict']})"
    assert shown in capsys.readouterr().out


def test_a_run_without_a_curve_has_none_and_the_same_model(trained: Path) -> None:
    assert run(trained, out="plain") == 0
    plain, curved = report(trained / "plain"), report(trained / "out")
    assert plain["learning_curve"] is None
    assert plain["model"] == curved["model"]
    assert not (trained / "plain/learning_curve.png").exists()
    assert "Learning curve" not in (trained / "plain/REPORT.md").read_text(encoding="utf-8")


def test_the_points_of_a_calibrated_model_are_calibrated(trained: Path) -> None:
    assert run(trained, "--learning-curve", 2, "--calibrate", "platt", out="platt") == 0
    made = report(trained / "platt")
    metrics = made["learning_curve"]["points"][-1]["metrics"]
    assert {name: of["value"] for name, of in metrics.items()} == pytest.approx(
        {name: made["model"][name] for name in METRICS}
    )
    assert made["model"] != made["uncalibrated"]


@pytest.mark.parametrize(
    ("auc", "log_loss"), [("better", "better"), ("unclear", "better"), ("better", "unclear")]
)
def test_a_doubling_that_made_a_metric_better_and_none_worse_helped(
    auc: str, log_loss: str
) -> None:
    assert _doubled(auc, log_loss).rising


@pytest.mark.parametrize(
    ("auc", "log_loss"), [("better", "worse"), ("unclear", "unclear"), ("worse", "unclear")]
)
def test_another_doubling_did_not_help(auc: str, log_loss: str) -> None:
    assert not _doubled(auc, log_loss).rising


def _doubled(auc: str, log_loss: str) -> LearningCurve:
    """A curve with these verdicts on its last doubling."""
    verdicts = {"auc": auc, "log_loss": log_loss}
    return LearningCurve([], {k: Difference(0.9, 0.8, 0.1, 0, 1, v) for k, v in verdicts.items()})


def test_too_small_a_part_is_refused_before_training(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "rows.csv", labelled(1000))
    assert run(tmp_path, "--learning-curve", 4) == 65
    shown = capsys.readouterr().err
    assert "87, at least 100 are needed: --learning-curve 3 is the most" in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("points", "least"), [(1, 100), (2, 200), (3, 400)])
def test_a_curve_needs_rows_for_its_smallest_part(points: int, least: int) -> None:
    learning_curve.check(points, least)
    learning_curve.check(0, least - 1)
    with pytest.raises(DataRefused, match=stating(str(points), str(least - 1))):
        learning_curve.check(points, least - 1)


def test_few_held_out_rows_give_a_curve_without_intervals(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", labelled(400))
    assert run(tmp_path, "--learning-curve", 2) == 0
    curve = _curve(tmp_path)
    assert {of["low"] for point in curve["points"] for of in point["metrics"].values()} == {None}
    assert {of["verdict"] for of in curve["doubling"].values()} == {"unclear"}
