"""Rows with an empty text among those that a model is trained on: counted, warned of, unknown."""

import json
from pathlib import Path
from typing import Any

import pytest

from model.regno import RegnoScorer
from model.regno.request import from_fields
from tests.support.labelled import labelled, report, run, write

Captured = pytest.CaptureFixture[str]
_EMPTY = {
    "camera_type": ("", "", " "),
    "camera_class": ("", "\t"),
    "regno_recognize": ("",),
    "afts_regno_ai": ("", " ", "", ""),
}
_LEARNT = "rows are empty; the model learns from them"
_WARNINGS = [
    f"camera_type: 3 of 400 {_LEARNT}, but an empty value is not among those it knows",
    f"camera_class: 2 of 400 {_LEARNT}, but an empty value is not among those it knows",
    f"afts_regno_ai: 4 of 400 {_LEARNT}",
    f"regno_recognize: 1 of 400 {_LEARNT}",
]


def _rows() -> list[dict[str, Any]]:
    rows = labelled()
    # In the training part, the validation part and the held-out part.
    places = [0, 300, 350, 399]
    for field, texts in _EMPTY.items():
        for place, text in zip(places, texts, strict=False):
            rows[place][field] = text
    return rows


def test_empty_texts_are_counted_and_warned_of(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "rows.csv", _rows())
    assert run(tmp_path) == 0
    errors = capsys.readouterr().err
    result = report(tmp_path / "out")
    assert result["empty"] == {field: len(texts) for field, texts in _EMPTY.items()}
    text = (tmp_path / "out/REPORT.md").read_text(encoding="utf-8")
    warnings = json.loads((tmp_path / "out/manifest.json").read_bytes())["metrics"]["warnings"]
    for warning in _WARNINGS:
        assert f"warning: {warning}\n" in errors
        assert f"- {warning}\n" in text
        assert warning in result["warnings"]
        assert warning in warnings
    counts = "afts_regno_ai 4, regno_recognize 1"
    assert f"Rows with an empty text: camera_type 3, camera_class 2, {counts}." in text


def test_an_empty_category_that_was_trained_on_is_unseen(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", _rows())
    assert run(tmp_path) == 0
    scorer = RegnoScorer.load(tmp_path / "out/regno.cbm")
    row = {name: value for name, value in labelled(1)[0].items() if name != "label"}
    unseen = {
        value: scorer.unseen(scorer.row(from_fields(**{**row, "camera_type": value})))
        for value in ("", " ", row["camera_type"])
    }
    assert unseen == {"": ["camera_type"], " ": ["camera_type"], row["camera_type"]: []}


def test_without_empty_texts_there_is_no_warning(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "rows.csv", labelled())
    assert run(tmp_path) == 0
    assert "empty" not in capsys.readouterr().err
    assert report(tmp_path / "out")["empty"] == {}
    text = (tmp_path / "out/REPORT.md").read_text(encoding="utf-8")
    assert "Rows with an empty text: none." in text
