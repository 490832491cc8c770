"""`python -m model.evaluate`: figures, segments, limits, thresholds, the page."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier

from model import manifests
from model.errors import ModelRefused
from model.registry import __main__ as registry
from model.regno import BUNDLED, Costs, Thresholds
from model.regno.evaluation import metrics
from model.regno.model_file.manifest import Manifest, OwnThresholds
from model.regno.review.decision import DEFAULT_COSTS
from model.regno.scorer import RegnoScorer
from tests.support.evaluating import Measured, run, save
from tests.support.labelled import labelled, report, scores, write
from tests.support.messages import mentions
from tests.support.vacuous import nonempty

ROWS = labelled(700)
LABELS = np.array([row["label"] for row in ROWS])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rows") / "rows.csv", ROWS)


@pytest.fixture(scope="module")
def out(rows: Path) -> Path:
    """The report on the bundled model with everything that can be asked for."""
    folder = rows.parent / "out"
    options = ("--against", BUNDLED, "--by", "hour", "--by", "month")
    limits = ("--max-camera-error", 0.2, "--max-network-error", 0.2)
    assert run(rows, "--out", folder, *options, *limits) == 0
    return folder


def test_the_figures_are_those_of_the_models_scores(out: Path) -> None:
    positives = np.array(scores(BUNDLED, ROWS))
    made, expected = report(out), metrics.measures(LABELS, positives)
    for name, interval in nonempty(made["measures"]).items():
        assert interval["value"] == pytest.approx(expected[name], abs=1e-9)
        assert interval["low"] < interval["high"]
    assert made["rows"] == 700
    assert made["version"] == RegnoScorer.load().version
    assert made["expected_accuracy"] == pytest.approx(np.maximum(positives, 1 - positives).mean())


def test_decisions_are_those_of_the_service(out: Path) -> None:
    thresholds = Thresholds(Costs(1.0, 1.0, 0.3))
    decided = [thresholds.decide(p) for p in scores(BUNDLED, ROWS)]
    made = report(out)["decisions"]
    assert (made["camera"], made["network"]) == (0.3, 0.7)
    for name, of in nonempty(made["by_decision"]).items():
        assert of["rows"] == decided.count(name)
        right = [label for label, decision in zip(LABELS, decided, strict=True) if decision == name]
        assert of["network_right"] == sum(right)


def test_segments_hold_all_rows_once(out: Path) -> None:
    segments = report(out)["segments"]
    assert set(segments) == {"camera_class", "hour", "month"}
    for by_value in segments.values():
        assert sum(segment["rows"] for segment in by_value.values()) == 700
    assert list(segments["month"]) == ["2021-03"]


def test_a_model_against_itself_differs_in_nothing(out: Path) -> None:
    against = report(out)["against"]
    assert (against["flips"], against["measures"]["auc"]["difference"]) == (0, 0)


def test_the_page_needs_nothing_else_and_holds_no_plate(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 9
    # Namespaces are names, not addresses that a browser opens.
    assert not re.findall(r'(?:src|href)="(?!#)(?!http://www\.w3\.org)[^"]*"', page)
    assert "<script" not in page
    for row in ROWS:
        assert row["regno_recognize"] not in page
        assert row["afts_regno_ai"] not in page


def test_a_groups_name_is_text_on_the_page(tmp_path: Path) -> None:
    marked = [row | {"site": "<b>&1"} for row in ROWS[:200]]
    path = save(tmp_path / "rows.csv", marked)
    assert run(path, "--by", "site", "--out", tmp_path / "out") == 0
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;1" in page


def test_the_summary_names_the_figures(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(rows) == 0
    text = capsys.readouterr().out
    value = metrics.auc(LABELS, np.array(scores(BUNDLED, ROWS)))
    assert re.search(rf"^AUC +{value:.4f} ", text, re.MULTILINE)
    assert "700 rows of rows.csv" in text
    assert "thresholds by costs: camera up to 0.3, network from 0.7" in text
    assert run(rows, "--cost-manual", 1) == 0
    assert "thresholds by costs: camera below 0.5, network from 0.5" in capsys.readouterr().out


def test_json_is_printed_instead_of_the_table(
    rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rows, "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 700


def test_rows_may_come_from_standard_input(
    tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = measured(write(tmp_path / "rows.csv", ROWS))["measures"]
    with subprocess.Popen(["cat", tmp_path / "rows.csv"], stdout=subprocess.PIPE) as source:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(cast("BinaryIO", source.stdout)))
        assert measured(Path("-"))["measures"] == wanted


@pytest.mark.parametrize(("yes", "no"), [("да", "нет"), ("Network", "camera")])
def test_the_positive_word_is_named(
    yes: str, no: str, rows: Path, tmp_path: Path, measured: Measured
) -> None:
    worded = [row | {"label": yes if row["label"] else no} for row in ROWS]
    path = write(tmp_path / "worded.csv", worded)
    words, digits = measured(path, "--positive", yes.upper()), measured(rows)
    assert words["measures"] == digits["measures"]


def test_words_for_labels_are_refused_with_the_option_that_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "rows.csv", [row | {"label": "yes"} for row in ROWS[:3]])
    assert run(tmp_path / "rows.csv") == 65
    assert "--positive" in capsys.readouterr().err


def test_a_third_word_is_no_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("да", "нет", "unknown")
    write(tmp_path / "rows.csv", [row | {"label": words[at]} for at, row in enumerate(ROWS[:3])])
    assert run(tmp_path / "rows.csv", "--positive", "да") == 65
    assert mentions(capsys.readouterr().err, "line 4: label: ", "two words")


def test_a_word_that_no_label_is_is_no_positive_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "rows.csv", [row | {"label": "нет"} for row in ROWS[:3]])
    assert run(tmp_path / "rows.csv", "--positive", "да") == 65
    assert mentions(capsys.readouterr().err, "label", "'да'", "but нет:")


def test_labels_of_other_words_are_named_unless_they_may_be_plates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["0", "1", ROWS[0]["afts_regno_ai"]]
    write(tmp_path / "rows.csv", [ROWS[0] | {"label": label} for label in labels])
    assert run(tmp_path / "rows.csv", "--positive", "yes") == 65
    assert mentions(capsys.readouterr().err, "label", "'yes'", "but 0 or 1:")


def test_few_rows_have_no_intervals_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "rows.csv", ROWS[:45])
    assert run(tmp_path / "rows.csv", "--out", tmp_path / "out") == 0
    measures = report(tmp_path / "out")["measures"]
    assert [measures["auc"]["low"], measures["log_loss"]["high"]] == [None, None]
    assert "45 rows" in capsys.readouterr().err


def test_doubtful_rows_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = [row | {"camera_class": "Новая"} for row in ROWS[100:103]]
    write(tmp_path / "rows.csv", [*ROWS[:100], *ROWS[:5], *odd])
    assert run(tmp_path / "rows.csv") == 0
    error = capsys.readouterr().err
    assert mentions(error, "5 of 108 rows", "repeat")
    assert mentions(error, "camera_class: ", "3 of 108 rows")


def test_rows_of_one_label_have_a_report_without_an_auc(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "rows.csv", [row for row in ROWS if row["label"] == 1][:150])
    assert run(tmp_path / "rows.csv", "--out", tmp_path / "out") == 0
    assert report(tmp_path / "out")["measures"]["auc"]["value"] is None
    capsys.readouterr()
    assert run(tmp_path / "rows.csv", "--min-auc", 0.1) == 1
    errors = capsys.readouterr().err
    assert mentions(errors, "AUC", "both", "--min-auc")
    assert "nan" not in errors
    assert run(tmp_path / "rows.csv", "--against", BUNDLED) == 65


@pytest.mark.parametrize(
    ("options", "status", "named"),
    [
        (("--min-auc", 0.5, "--max-log-loss", 3, "--max-ece", 0.5, "--max-cost", 1), 0, ""),
        (("--min-auc", 0.999), 1, "--min-auc"),
        (("--max-log-loss", 0.01), 1, "log loss"),
        (("--max-ece", 0.0001), 1, "ECE"),
        (("--max-cost", 0.0001), 1, "cost"),
        (("--max-camera-error", 0.001, "--max-network-error", 0.001), 1, "network"),
    ],
)
def test_limits_are_exit_codes(
    options: tuple[object, ...],
    status: int,
    named: str,
    rows: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(rows, *options) == status
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ("--model", "a.cbm", "--registry", "models"),
        ("--version", "live"),
        ("--join", "late.csv"),
        ("--on", "id"),
        ("--many-to-one",),
        ("--join", "late.csv", "--on", "id", "--on", "label"),
        ("--max-camera-error", "0.1"),
        ("--write-thresholds",),
        ("--fail-if-worse",),
        ("--cost-manual", "-1"),
        ("--cost-network-wrong", "0"),
        ("--min-auc", "2"),
        ("--confidence", "1"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(Path("rows.csv"), *options)
    assert stop.value.code == 2


@pytest.mark.parametrize("column", ["regno_recognize", "afts_regno_ai_text", "owner"])
def test_plates_are_no_groups(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plates = [row | {"owner": f"of {row['regno_recognize']}"} for row in ROWS[:40]]
    save(tmp_path / "rows.csv", plates)
    assert run(tmp_path / "rows.csv", "--by", column) == 65
    error = capsys.readouterr().err
    assert "personal data" in error
    assert not any(row["regno_recognize"] in error for row in ROWS[:40])


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_handful_of_rows_has_a_report(count: int, tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", ROWS[:count])
    limits = ("--max-camera-error", 0.1, "--max-network-error", 0.1)
    assert run(tmp_path / "rows.csv", *limits, "--out", tmp_path / "out") == 1
    made = report(tmp_path / "out")
    assert made["rows"] == count
    assert made["controlled"]["guarantees"]["network"]["threshold"] is None


@pytest.mark.parametrize(
    "options",
    [
        ("--by", "camera_clas"),
        ("--by", "time_check"),
        ("--by", "afts_regno_ai_char_scores"),
        ("--label", "truth"),
        ("--model", "missing.cbm"),
        ("--registry", "nowhere"),
    ],
)
def test_what_is_not_there_is_named(
    options: tuple[str, str], rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rows, *options) == 65
    assert options[1] in capsys.readouterr().err


def test_the_option_that_names_the_labels_is_named(
    rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rows, "--label", "truth") == 65
    assert mentions(capsys.readouterr().err, "header lacks truth", "--label names")
    assert run(rows, "--label", "truth", "--by", "site") == 65
    assert "--label names" not in capsys.readouterr().err


def test_a_missing_file_is_66(tmp_path: Path) -> None:
    assert run(tmp_path / "none.csv") == 66


@pytest.mark.parametrize("place", ["file", "file/below/it"])
def test_a_report_that_has_no_place_fails_before_the_work(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("text")
    # The rows are not read: they are not there.
    assert run(tmp_path / "none.csv", "--out", tmp_path / place) == 73
    assert capsys.readouterr().err.endswith(f"{tmp_path / place}: Not a directory\n")


def test_a_version_of_a_registry_is_measured(
    rows: Path, tmp_path: Path, measured: Measured
) -> None:
    models, version = tmp_path / "models", RegnoScorer.load().version
    for command in (("add", str(BUNDLED)), ("promote", version)):
        assert registry.main([*command, "--models", str(models)]) == 0
    made = measured(rows, "--registry", models, "--version", version, "--against", "live")
    assert (made["version"], made["against"]["version"]) == (version, version)
    assert run(rows, "--registry", models, "--version", "shadow") == 65


def test_a_worse_model_fails_only_beyond_the_interval(rows: Path, tmp_path: Path) -> None:
    worse = tmp_path / "worse.cbm"
    model = CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)
    names = ["recognition_accuracy", "direction"]
    model.fit(pd.DataFrame(ROWS)[names], LABELS)
    model.save_model(str(worse))
    assert run(rows, "--model", worse, "--against", BUNDLED) == 0
    assert run(rows, "--model", worse, "--against", BUNDLED, "--fail-if-worse") == 1
    assert run(rows, "--against", BUNDLED, "--fail-if-worse") == 0


def test_thresholds_of_risk_control_are_written_and_used(
    rows: Path, tmp_path: Path, measured: Measured
) -> None:
    model = tmp_path / BUNDLED.name
    for name in (BUNDLED.name, manifests.FILE_NAME):
        shutil.copy(BUNDLED.with_name(name), tmp_path)
    limits = ("--max-camera-error", 0.2, "--max-network-error", 0.15, "--confidence", 0.9)
    made = measured(rows, "--model", model, *limits, "--write-thresholds")
    guarantees = made["controlled"]["guarantees"]
    own = RegnoScorer.load(model).manifest.thresholds  # type: ignore[union-attr]
    assert own is not None
    assert own.camera == guarantees["camera"]["threshold"]
    assert own.network == guarantees["network"]["threshold"]
    assert (own.max_camera_error, own.max_network_error, own.confidence) == (0.2, 0.15, 0.9)
    by_manifest = measured(rows, "--model", model)
    assert by_manifest["thresholds"] == "manifest"
    assert by_manifest["decisions"]["network"] == own.network
    by_costs = measured(rows, "--model", model, "--thresholds", "costs")
    given = ("--cost-manual", DEFAULT_COSTS.manual)
    assert measured(rows, "--model", model, *given) == by_costs
    kept = measured(rows, "--model", model, *given, "--thresholds", "manifest")
    assert kept == by_manifest
    assert by_costs["decisions"]["network"] == 0.7


def test_a_model_without_a_manifest_gets_no_thresholds(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copy(BUNDLED, tmp_path / "bare.cbm"))
    limits = ("--max-camera-error", 0.2, "--max-network-error", 0.2)
    assert run(rows, "--model", model, *limits, "--write-thresholds") == 65
    assert "has no manifest" in capsys.readouterr().err


@pytest.mark.parametrize(("camera", "network"), [(0.6, 0.5), (-0.1, 0.5), (0.2, 1.1)])
def test_thresholds_that_make_no_sense_are_refused(
    camera: float, network: float, tmp_path: Path
) -> None:
    model = Path(shutil.copy(BUNDLED, tmp_path))
    described = manifests.load_for(BUNDLED, RegnoScorer.load().sha256, Manifest)
    assert described is not None
    own = OwnThresholds(camera, network, 0.1, 0.1, 0.95, 100)
    manifests.write(
        msgspec.structs.replace(described, thresholds=own), tmp_path / manifests.FILE_NAME
    )
    with pytest.raises(ModelRefused, match="thresholds"):
        RegnoScorer.load(model)
