"""Calibration: fitted on the validation rows, kept in the manifest, served to the last bit."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model import ModelRefused
from model.errors import DataRefused
from model.regno import RegnoScorer
from model.regno.columns.table import columns_of
from model.regno.evaluation import metrics
from model.regno.evaluation import report as evaluation_report
from model.regno.frames import FrameScorer
from model.regno.model_file.calibration import Calibration, Isotonic, Platt
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import FIELDS, Reading, from_fields
from model.regno.training import calibrators
from tests.support.labelled import labelled, report, run, write

ROWS = labelled(800)
METHODS = ("isotonic", "platt")
_FITTED: list[Calibration] = [
    Platt(1.7, -0.3),
    Isotonic([0.001, 0.2, 0.7, 0.75], [0.01, 0.1, 0.1, 0.97]),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and a calibrated model by each method."""
    folder = tmp_path_factory.mktemp("calibrated")
    write(folder / "rows.csv", ROWS)
    for method in METHODS:
        assert run(folder, "--calibrate", method, out=method) == 0
    return folder


@pytest.fixture(scope="module", params=METHODS)
def calibrated(request: pytest.FixtureRequest, trained: Path) -> RegnoScorer:
    """The scorer of a calibrated model."""
    return RegnoScorer.load(trained / request.param / "regno.cbm", warm=True)


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    return [from_fields(**{name: row[name] for name in FIELDS}) for row in ROWS]


def _uncalibrated(scorer: RegnoScorer, folder: Path, readings: list[Reading]) -> np.ndarray:
    method = _calibration(scorer).__class__.__name__.lower()
    model = BinaryModel.load(folder / method / "regno.cbm")
    return np.array([positive for _, positive in model.probabilities(scorer.rows(readings))])


def _calibration(scorer: RegnoScorer) -> Calibration:
    assert scorer.manifest
    assert scorer.manifest.calibration
    return scorer.manifest.calibration


@pytest.mark.parametrize("calibration", _FITTED)
@given(
    scores=arrays(float, st.integers(1, 300), elements=st.floats(0, 1)),
    pair=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_it_gives_rising_probabilities_and_each_row_the_same_bits_alone(
    calibration: Calibration, scores: np.ndarray, pair: tuple[float, float]
) -> None:
    together = calibration.apply(scores)
    alone = np.concatenate([calibration.apply(scores[at : at + 1]) for at in range(scores.size)])
    assert together.tobytes() == alone.tobytes()
    assert together.tobytes() == calibration.apply(np.repeat(scores, 3)[::3]).tobytes()
    assert ((together >= 0) & (together <= 1)).all()
    low, high = calibration.apply(np.sort(pair))
    assert low <= high


def test_platt_is_a_line_in_log_odds() -> None:
    result = Platt(2.0, 0.5).apply(np.array([0.5, 0.9, 0.0, 1.0]))
    assert result[:2] == pytest.approx([1 / (1 + np.exp(-0.5)), 81 / (81 + np.exp(-0.5))])
    assert result[2:] == pytest.approx([0, 1], abs=1e-12)


def test_isotonic_goes_straight_between_its_points_and_level_beyond() -> None:
    result = _FITTED[1].apply(np.array([0.0, 0.1005, 0.45, 0.725, 1.0]))
    assert result == pytest.approx([0.01, 0.055, 0.1, 0.535, 0.97])


@pytest.mark.parametrize("method", METHODS)
def test_a_distorted_probability_is_put_right(method: calibrators.Method) -> None:
    rng = np.random.default_rng(1)
    true = rng.random(20_000)
    labels = (rng.random(20_000) < true).astype(int)
    distorted = Platt(2.5, 1.0).apply(true)
    assert metrics.calibration_error(labels, distorted) > 0.1
    fitted = calibrators.fit(method, labels[:10_000], distorted[:10_000])
    assert metrics.calibration_error(labels[10_000:], fitted.apply(distorted[10_000:])) < 0.02
    if isinstance(fitted, Platt):
        assert fitted.slope == pytest.approx(1 / 2.5, rel=0.03)
        assert fitted.intercept == pytest.approx(-1 / 2.5, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_fall_with_the_labels_are_refused(method: calibrators.Method) -> None:
    labels = np.array([1, 1, 1, 0, 0, 0])
    with pytest.raises(DataRefused, match="can't be calibrated"):
        calibrators.fit(method, labels, np.linspace(0.2, 0.8, 6))


def test_the_service_gives_the_bits_of_the_offline_function(
    calibrated: RegnoScorer, trained: Path, readings: list[Reading]
) -> None:
    offline = _calibration(calibrated).apply(_uncalibrated(calibrated, trained, readings))
    by_array = [score.positive for score in calibrated.score(readings)]
    by_row = [calibrated.score([reading])[0].positive for reading in readings]
    table = calibrated.table.of_columns(columns_of(readings))
    by_table = [score.positive for score in calibrated.score_table(table)]
    assert offline.tolist() == by_array == by_row == by_table
    assert all(score.negative == 1 - score.positive for score in calibrated.score(readings))


def test_requests_get_the_calibrated_probability(
    calibrated: RegnoScorer, make_app: Callable[..., Any], key: dict[str, str], readings: Any
) -> None:
    client = make_app(scorer=calibrated).test_client()
    bodies = [{name: row[name] for name in FIELDS} for row in ROWS[:30]]
    expected = [score.positive for score in calibrated.score(readings[:30])]
    one = [client.post("/reg/", json=body, headers=key).get_json() for body in bodies]
    assert [reply["body"]["positive"] for reply in one] == expected
    many = client.post("/reg/", json=bodies, headers=key).get_json()
    assert [each["positive"] for each in many["body"]] == expected


def test_the_report_measures_before_and_after_on_the_held_out_rows(
    calibrated: RegnoScorer, trained: Path, readings: list[Reading]
) -> None:
    calibration, newest = _calibration(calibrated), slice(680, 800)
    method = type(calibration).__name__.lower()
    result = report(trained / method)
    labels = np.array([row["label"] for row in ROWS[newest]])
    before = _uncalibrated(calibrated, trained, readings)[newest]
    assert result["calibration"] == method
    assert result["uncalibrated"] == pytest.approx(metrics.measures(labels, before))
    after = metrics.measures(labels, calibration.apply(before))
    assert result["model"] == pytest.approx(after)
    assert "this model, uncalibrated" in (trained / method / "REPORT.md").read_text("utf-8")


def test_a_calibration_that_makes_held_out_rows_worse_is_warned_of() -> None:
    better, worse = {"log_loss": 0.4108}, {"log_loss": 0.4364}
    (line,) = evaluation_report.of_calibration("isotonic", worse, better)
    assert "isotonic" in line
    assert {"0.4364", "0.4108;"} <= set(line.split())
    assert evaluation_report.of_calibration("isotonic", better, worse) == []
    assert evaluation_report.of_calibration(None, worse, better) == []


def test_the_calibration_is_that_of_the_validation_rows(
    calibrated: RegnoScorer, trained: Path, readings: list[Reading]
) -> None:
    calibration, part = _calibration(calibrated), slice(560, 680)
    labels = np.array([row["label"] for row in ROWS[part]])
    before = _uncalibrated(calibrated, trained, readings)[part]
    method: Any = type(calibration).__name__.lower()
    assert calibrators.fit(method, labels, before) == calibration


def test_a_final_fit_is_calibrated_by_all_rows_that_the_measured_model_did_not_learn_from(
    trained: Path, readings: list[Reading]
) -> None:
    options = ("--calibrate", "platt")
    assert run(trained, *options, "--refit", out="refit") == 0
    measured = RegnoScorer.load(trained / "platt/regno.cbm")
    before = _uncalibrated(measured, trained, readings)[560:]
    labels = np.array([row["label"] for row in ROWS[560:]])
    final = RegnoScorer.load(trained / "refit/regno.cbm")
    assert _calibration(final) == calibrators.fit("platt", labels, before)


@pytest.fixture
def explained(calibrated: RegnoScorer, readings: list[Reading]) -> Iterator[Any]:
    explainer = calibrated.explainer()
    (explanation,) = calibrated.explained(calibrated.rows(readings[:1]), explainer, 60)
    yield explanation
    explainer.close()


def test_an_explanation_says_which_probability_it_explains(
    explained: Any, calibrated: RegnoScorer, trained: Path, readings: list[Reading]
) -> None:
    before = float(_uncalibrated(calibrated, trained, readings[:1])[0])
    assert explained.positive == calibrated.score(readings[:1])[0].positive
    assert explained.uncalibrated == before
    assert 1 / (1 + np.exp(-explained.raw)) == pytest.approx(before)
    reached = explained.base_probability + sum(each.step for each in explained.features)
    assert reached == pytest.approx(before)
    text = f"with {100 * explained.positive:.1f} %, calibrated from the {100 * before:.1f} %"
    assert text in explained.text


def test_a_frame_of_explanations_has_both_probabilities(
    calibrated: RegnoScorer, trained: Path, readings: list[Reading]
) -> None:
    frames = FrameScorer(calibrated)
    explained = frames.explain_frame(pd.DataFrame(ROWS[:2]))
    before = _uncalibrated(calibrated, trained, readings[:2])
    assert explained["uncalibrated"].tolist() == before.tolist()
    scores = [score.positive for score in calibrated.score(readings[:2])]
    assert explained["positive"].tolist() == scores
    log_odds = explained[["base", *frames.features]].sum(axis=1).to_numpy()
    assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(before)


@pytest.mark.parametrize(
    ("calibration", "reason"),
    [
        ({"method": "platt", "slope": 0, "intercept": 1}, "Expected `float` > 0"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "probabilities": [0.1]}, "length >= 2"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "probabilities": [0, 0.5, 1]}, "as many"),
        ({"method": "isotonic", "scores": [0.2, 0.1], "probabilities": [0, 1]}, "rising numbers"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "probabilities": [0.9, 0.1]}, "do not rise"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "probabilities": [0, 1.1]}, "do not rise"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "probabilities": [0.5, 0.5]}, "same score"),
        ({"method": "beta"}, "Invalid value 'beta'"),
    ],
)
def test_a_calibration_that_is_none_is_refused(
    calibration: dict[str, Any], reason: str, trained: Path, tmp_path: Path
) -> None:
    manifest = json.loads((trained / "platt/manifest.json").read_bytes())
    (tmp_path / "regno.cbm").symlink_to(trained / "platt/regno.cbm")
    text = json.dumps({**manifest, "calibration": calibration})
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelRefused) as refused:
        RegnoScorer.load(tmp_path / "regno.cbm")
    assert "calibration" in str(refused.value)
    assert reason in str(refused.value)


def test_a_changed_calibration_is_found_by_the_golden_scores(trained: Path, tmp_path: Path) -> None:
    manifest = json.loads((trained / "platt/manifest.json").read_bytes())
    manifest["calibration"]["slope"] *= 1.01
    (tmp_path / "regno.cbm").symlink_to(trained / "platt/regno.cbm")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelRefused, match="its manifest says"):
        RegnoScorer.load(tmp_path / "regno.cbm", warm=True)


def test_a_calibrated_candidate_can_be_compared_with_and_registered(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    against = ("--against", trained / "platt/regno.cbm")
    registry = ("--models", trained / "models", "--add")
    assert run(trained, *against, *registry, "--calibrate", "platt", out="next") == 0
    compared = report(trained / "next")["against"]["measures"]["log_loss"]
    assert compared["other"] == pytest.approx(report(trained / "platt")["model"]["log_loss"])
    assert "is a candidate in" in capsys.readouterr().out
    stored = next((trained / "models").rglob("manifest.json"))
    assert json.loads(stored.read_bytes())["calibration"]["method"] == "platt"
