"""Live readings are written to files for training, bounded, and without plates unless asked."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from model import train
from model.regno import MODEL, RegnoScorer
from model.regno.capture_file import masked
from model.regno.plates import category
from model.regno.request import FIELDS
from plate_scoring import load
from service.config.settings import Settings
from service.config.settings import load as load_settings
from service.scoring import capture as module
from service.scoring.capture import Capture
from service.telemetry.metrics.capture import CaptureMetrics
from tests.support import labelled, tables
from tests.support.parts import AppMaker
from tests.support.server import KEY_HEADER as KEY

Capturing = Callable[..., tuple[FlaskClient, Capture, CollectorRegistry]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "captured"


@pytest.fixture
def capturing(make_app: AppMaker, scorer: RegnoScorer, folder: Path, tmp_path: Path) -> Capturing:
    """A client of an app that captures, its capture, and what that has counted."""

    def make(**changed: str) -> tuple[FlaskClient, Capture, CollectorRegistry]:
        given = {"SCORING_CAPTURE": "1", "SCORING_CAPTURE_DIR": str(folder)}
        given |= {f"SCORING_CAPTURE_{name.upper()}": value for name, value in changed.items()}
        settings: Settings = load_settings(given, tmp_path / "none.env")
        app, counted = make_app(), CollectorRegistry()
        captured = Capture(MODEL, settings, scorer.memory_of, CaptureMetrics(counted))
        app.extensions["parts"].slot.capture = captured
        return app.test_client(), captured, counted

    return make


def _post(client: FlaskClient, body: Any, request_id: str) -> Any:
    headers = {**KEY, "X-Request-ID": request_id}
    reply = client.post("/reg/", json=body, headers=headers)
    assert reply.status_code == 200
    return reply.get_json()["body"]


def _rows(counted: CollectorRegistry) -> dict[str, float | None]:
    return {
        result: counted.get_sample_value("scoring_capture_rows_total", {"result": result})
        for result in ("written", "dropped")
    }


def _frame(folder: Path) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, sorted(folder.iterdir())), ignore_index=True)


def test_a_captured_row_scores_as_it_did_and_names_its_request(
    capturing: Capturing, folder: Path, scorer: RegnoScorer
) -> None:
    client, capture, counted = capturing(plates="yes")
    rows = tables.samples(5)
    scores = [_post(client, rows[0], "one"), *_post(client, rows[1:], "several")]
    capture.close()
    frame = _frame(folder)
    assert list(frame["request_id"]) == ["one"] + ["several"] * 4
    assert list(frame["row"]) == [0, 0, 1, 2, 3]
    assert list(frame["positive"]) == [score["positive"] for score in scores]
    assert list(frame["regno_recognize"]) == [row["regno_recognize"] for row in rows]
    scored = load(scorer).score_frame(frame)
    assert list(scored["positive"]) == list(frame["positive"])
    assert _rows(counted) == {"written": 5, "dropped": 0}
    (path,) = folder.iterdir()
    assert counted.get_sample_value("scoring_capture_written_bytes_total") == path.stat().st_size
    assert counted.get_sample_value("scoring_capture_failures_total") == 0
    last = counted.get_sample_value("scoring_capture_last_write_timestamp_seconds")
    assert last == pytest.approx(path.stat().st_mtime, abs=60)


def test_no_plate_is_written_unless_asked(capturing: Capturing, folder: Path) -> None:
    client, capture, _ = capturing()
    rows = tables.samples(40)
    rows[0]["camera_type"] = "А939НО190"
    _post(client, rows, "several")
    capture.close()
    frame = _frame(folder)
    pairs = zip(rows, frame[[*FIELDS]].itertuples(index=False), strict=True)
    for row, got in pairs:
        for name in ("regno_recognize", "afts_regno_ai"):
            sent, written = row[name], getattr(got, name)
            assert (len(written), category(written)) == (len(sent), category(sent))
    plates = [row[name] for row in rows for name in ("regno_recognize", "afts_regno_ai")]
    assert not {*frame["regno_recognize"], *frame["afts_regno_ai"]} & {*plates}
    assert frame["camera_type"][0] == ""


def test_both_readings_differ_where_they_did() -> None:
    fields = {
        "regno_recognize": "A939HO190",
        "afts_regno_ai": "А939НС19",
        "camera_type": "a",
        "camera_class": "b",
    }
    hidden = masked(fields, Random(3))
    latin, cyrillic = hidden["regno_recognize"], hidden["afts_regno_ai"]
    assert latin != fields["regno_recognize"]
    assert latin[1:4] == cyrillic[1:4]
    assert latin.isascii()
    assert (latin[1], latin[6]) != (latin[2], latin[7])
    assert latin[1] == latin[3] == latin[7]


def test_files_are_for_their_owner_alone_and_appear_whole(
    capturing: Capturing, folder: Path
) -> None:
    client, capture, _ = capturing()
    _post(client, tables.samples(1)[0], "one")
    capture.close()
    (path,) = folder.iterdir()
    assert path.suffix == ".parquet"
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_rows_without_room_are_dropped_and_counted(
    capturing: Capturing, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    client, capture, counted = capturing()
    _post(client, tables.samples(5), "several")
    capture.publish()  # too few to be written, too early
    assert not folder.exists()
    capture.close()
    assert _rows(counted) == {"written": 3, "dropped": 2}


def test_enough_rows_are_written_by_a_thread(
    capturing: Capturing, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ENOUGH", 2)
    client, capture, counted = capturing()
    for name in ("first", "second"):
        _post(client, tables.samples(2), name)
        capture.publish()
    capture.close()
    assert _rows(counted)["written"] == 4
    assert len(_frame(folder)) == 4


def test_old_files_and_the_oldest_beyond_the_size_are_removed(
    capturing: Capturing, folder: Path
) -> None:
    folder.mkdir()
    ages = {"old": 40 * 86_400, "big": 300, "new": 200}
    for name, age in ages.items():
        path = folder / f"captured-{name}.parquet"
        path.write_bytes(b"x" * (1 << 20 if name == "big" else 10))
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    (folder / "mine.parquet").write_bytes(b"x" * (2 << 20))
    client, capture, _ = capturing(mb="1")
    _post(client, tables.samples(1)[0], "one")
    capture.close()
    left = {path.name for path in folder.iterdir()}
    assert {"captured-new.parquet", "mine.parquet"} < left
    assert not left & {"captured-old.parquet", "captured-big.parquet"}
    assert len(left) == 3


def test_a_folder_that_cannot_be_written_drops_the_rows(capturing: Capturing, folder: Path) -> None:
    folder.write_text("no folder")
    client, capture, counted = capturing()
    _post(client, tables.samples(2), "several")
    capture.close()
    assert _rows(counted) == {"written": 0, "dropped": 2}
    assert counted.get_sample_value("scoring_capture_failures_total") == 1


def test_nothing_is_captured_unless_set(settings: Settings) -> None:
    assert json.dumps([settings.capture, settings.capture_dir]) == '[0.0, ""]'


def test_captured_readings_train_a_model_once_labels_are_joined(
    capturing: Capturing, folder: Path, tmp_path: Path
) -> None:
    client, capture, _ = capturing(plates="yes")
    rows = labelled.labelled(400)
    _post(client, [{name: row[name] for name in FIELDS} for row in rows], "several")
    capture.close()
    labels = pd.DataFrame(
        {"request_id": "several", "row": range(400), "label": [row["label"] for row in rows]}
    )
    joined = _frame(folder).merge(labels, on=["request_id", "row"])
    joined.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "tiny.toml").write_text(labelled.TINY)
    options = ("--data", tmp_path / "rows.parquet", "--out", tmp_path / "out")
    parameters = ("--parameters", tmp_path / "tiny.toml")
    assert train.main([*map(str, (*options, *parameters))]) == 0


def test_a_request_that_takes_much_memory_is_dropped(capturing: Capturing, folder: Path) -> None:
    client, capture, counted = capturing(plates="yes")
    small, large = tables.samples(2)
    large |= {"afts_regno_ai_char_scores": [0.5] * 500}
    _post(client, [small, large], "two")
    capture.close()
    assert len(_frame(folder)) == 1
    assert _rows(counted) == {"written": 1, "dropped": 1}
