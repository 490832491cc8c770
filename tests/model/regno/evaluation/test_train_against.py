"""The comparison with another model: measures, their intervals, flips, by hand and by command."""

from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostClassifier

from model.regno.evaluation import bootstrap, metrics
from model.regno.scorer import BUNDLED
from tests.support.labelled import labelled, report, run, scores, write
from tests.support.messages import mentions
from tests.support.vacuous import nonempty

RNG = np.random.default_rng(5)
LABELS = RNG.integers(2, size=500)
GOOD = (LABELS * 0.9 + RNG.random(500) * 0.1).round(2)
POOR = RNG.random(500).round(2)


def test_counted_metrics_are_the_metrics_of_the_drawn_rows() -> None:
    result = bootstrap._Counted(LABELS, POOR)
    for _ in range(20):
        rows = RNG.integers(500, size=500)
        times = np.bincount(rows, minlength=500)
        slow = metrics.measures(LABELS[rows], POOR[rows])
        for name, measure in nonempty(result.metrics).items():
            assert measure(times) == pytest.approx(slow[name], abs=1e-12)
        error = np.abs(result.gaps(times)).sum()
        assert error == pytest.approx(slow["calibration_error"], abs=1e-12)


def test_a_clearly_better_model_is_called_better_and_the_other_worse() -> None:
    better = bootstrap.differences(LABELS, GOOD, POOR, seed=1)
    worse = bootstrap.differences(LABELS, POOR, GOOD, seed=1)
    assert {result.verdict for result in better.values()} == {"better"}
    assert {result.verdict for result in worse.values()} == {"worse"}
    assert better["auc"].difference == metrics.auc(LABELS, GOOD) - metrics.auc(LABELS, POOR)
    assert better["auc"].low == pytest.approx(-worse["auc"].high, abs=1e-12)
    assert better["brier"].low < better["brier"].difference < better["brier"].high < 0


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    """The Brier score is a mean, whose interval is known: the difference +- 1.96 errors."""
    result = bootstrap.differences(LABELS, GOOD, POOR, seed=1)["brier"]
    gaps = (GOOD - LABELS) ** 2 - (POOR - LABELS) ** 2
    half = 1.96 * gaps.std() / np.sqrt(gaps.size)
    assert result.low == pytest.approx(gaps.mean() - half, abs=0.15 * half)
    assert result.high == pytest.approx(gaps.mean() + half, abs=0.15 * half)


def test_a_model_compared_with_itself_differs_in_nothing() -> None:
    for each in nonempty(bootstrap.differences(LABELS, POOR, POOR, seed=1)).values():
        assert (each.difference, each.low, each.high, each.verdict) == (0, 0, 0, "unclear")


def test_the_same_seed_gives_the_same_intervals() -> None:
    first, second, other = (bootstrap.differences(LABELS, GOOD, POOR, s) for s in (1, 1, 2))
    assert first == second
    assert first != other


def test_the_interval_of_a_metric_holds_its_value_and_is_that_of_theory() -> None:
    """The Brier score of one model is a mean, too."""
    result = bootstrap.intervals(LABELS, POOR, seed=1)
    for name, interval in nonempty(result).items():
        assert interval.value == metrics.measures(LABELS, POOR)[name]
        assert interval.low < interval.high
    gaps = (POOR - LABELS) ** 2
    half = 1.96 * gaps.std() / np.sqrt(gaps.size)
    assert result["brier"].low == pytest.approx(gaps.mean() - half, abs=0.15 * half)
    assert result["brier"].high == pytest.approx(gaps.mean() + half, abs=0.15 * half)


def test_rows_of_one_label_have_intervals_but_no_auc() -> None:
    result = bootstrap.intervals(np.ones(50), POOR[:50], seed=1)
    assert np.isnan([result["auc"].value, result["auc"].low]).all()
    assert result["brier"].low < result["brier"].value < result["brier"].high


def test_draws_without_both_labels_are_left_out() -> None:
    labels, rising = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    result = bootstrap.differences(labels, rising, rising[::-1], seed=1)["auc"]
    assert (result.new, result.other, result.low) == (1, 0, 1)


def test_the_command_compares_on_the_held_out_rows(tmp_path: Path) -> None:
    rows = labelled(600)
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path, "--against", BUNDLED) == 0
    result, newest = report(tmp_path / "out"), rows[510:]
    labels = np.array([row["label"] for row in newest])
    new, other = (np.array(scores(m, newest)) for m in (tmp_path / "out/regno.cbm", BUNDLED))
    against = result["against"]
    assert against["version"].startswith("regno-sim-")
    for name, measure in against["measures"].items():
        assert measure["new"] == pytest.approx(metrics.measures(labels, new)[name])
        assert measure["other"] == pytest.approx(metrics.measures(labels, other)[name])
    flipped = (new > 0.5) != (other > 0.5)
    assert against["flips"] == flipped.sum() > 0
    assert against["rightly"] == (flipped & ((new > 0.5) == labels)).sum()
    assert sum(s["flips"] for s in result["by_camera_class"].values()) == flipped.sum()
    believed = sum(s["rows"] * s["believed"] for s in result["by_camera_class"].values())
    assert believed == pytest.approx((new > 0.5).sum())
    text = (tmp_path / "out/REPORT.md").read_text(encoding="utf-8")
    assert f"## Against {against['version']}" in text
    assert f"{against['measures']['auc']['low']:.4f}" in text


def test_a_model_of_fewer_features_and_other_kinds_can_be_compared_with(tmp_path: Path) -> None:
    rows = labelled()
    table = [
        [row["afts_regno_ai_score"], row["camera_type"], row["direction"], row["camera_class"]]
        for row in rows
    ]
    other = CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)
    names = ["afts_regno_ai_score", "camera_type", "direction", "camera_class"]
    from catboost import Pool

    pool = Pool(
        table,
        [row["label"] for row in rows],
        feature_names=names,
        cat_features=["camera_type", "direction"],
        text_features=["camera_class"],
    )
    other.fit(pool)
    other.save_model(str(tmp_path / "other.cbm"))
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path, "--against", tmp_path / "other.cbm") == 0
    labels = np.array([row["label"] for row in rows[340:]])
    auc = metrics.auc(labels, np.array(scores(tmp_path / "other.cbm", rows[340:])))
    compared = report(tmp_path / "out")["against"]
    assert compared["measures"]["auc"]["other"] == pytest.approx(auc)
    assert compared["version"] == f"sha256-{compared['sha256'][:12]}"


def test_a_model_that_learnt_from_the_held_out_rows_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = labelled(700)
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path) == 0
    write(tmp_path / "rows.csv", rows[:400])
    assert run(tmp_path, "--against", tmp_path / "out/regno.cbm", out="earlier") == 0
    last = rows[594]["time_check"]
    assert mentions(capsys.readouterr().err, "other model", f"up to {last}")
    write(tmp_path / "rows.csv", rows[200:])
    assert run(tmp_path, "--against", tmp_path / "out/regno.cbm", out="later") == 0


def test_no_model_to_compare_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "rows.csv", labelled())
    assert run(tmp_path, "--against", tmp_path / "rows.csv") == 65
    assert mentions(capsys.readouterr().err, "rows.csv is refused", "not a CatBoost model")
    assert not (tmp_path / "out").exists()


def test_a_class_in_few_rows_is_not_named(tmp_path: Path) -> None:
    """What stands in so few rows may be anything."""
    rows = labelled(2000)
    rows[-1]["camera_class"] = "Астра-Редкая"
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path) == 0
    result = report(tmp_path / "out")["by_camera_class"]
    assert "Астра-Редкая" not in result
    assert result["(classes of fewer than 30 rows)"]["rows"] >= 1
