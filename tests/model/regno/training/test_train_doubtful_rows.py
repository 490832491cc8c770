"""Rows that can be trained on, but with doubt: counted in the report and warned of."""

from pathlib import Path
from typing import Any

import pytest

from model.regno import RegnoScorer
from tests.support.labelled import labelled, report, run, write

Captured = pytest.CaptureFixture[str]
Row = dict[str, Any]
_CHARACTERS, _LENGTHS = "afts_regno_ai_char_scores", "afts_regno_ai_length_scores"


def _trained(folder: Path, rows: list[Row], captured: Captured) -> tuple[dict[str, Any], str]:
    """The report, and what was written to standard error."""
    write(folder / "rows.csv", rows)
    assert run(folder) == 0
    return report(folder / "out"), captured.readouterr().err


def _changed(change: Row, count: int = 40) -> list[Row]:
    """Rows of which every tenth is changed."""
    rows = labelled()
    for row in rows[:: len(rows) // count]:
        row.update(change)
    return rows


_COMMAS = "[0,99, 0,98, 0,97]"
_SHARE = "40 of 400 rows have"
_BEYOND = f"{_SHARE} a confidence below 0 or above 1: decimal commas, or per cent"
_MISMATCH = f"{_SHARE} another number of confidences than belongs to the reading"


@pytest.mark.parametrize(
    ("change", "counts", "reasons"),
    [
        (
            {_CHARACTERS: _COMMAS},
            {f"out-of-range:{_CHARACTERS}": 40, f"length-mismatch:{_CHARACTERS}": 40},
            [
                f"{_CHARACTERS}: {_BEYOND}",
                f"{_CHARACTERS}: {_MISMATCH}",
            ],
        ),
        (
            {_LENGTHS: "[1.0]"},
            {f"length-mismatch:{_LENGTHS}": 40},
            [f"{_LENGTHS}: {_MISMATCH}"],
        ),
        (
            {
                "regno_recognize": "a939ho196",
                "afts_regno_ai": "А939НО196",
                _CHARACTERS: str([0.9] * 9),
            },
            {"lookalike-letters:regno_recognize": 40, "readings-agree": 40},
            [
                f"regno_recognize: {_SHARE} Latin letters where Cyrillic ones are meant",
                f"{_SHARE} two readings of one plate: there is nothing to decide",
            ],
        ),
    ],
)
def test_doubtful_readings_are_counted(
    change: Row, counts: dict[str, int], reasons: list[str], tmp_path: Path, capsys: Captured
) -> None:
    trained, stderr = _trained(tmp_path, _changed(change), capsys)
    assert trained["data"]["warnings"] == counts
    assert [warning for warning in trained["warnings"] if "of 400 rows" in warning] == reasons
    for each in reasons:
        assert f"warning: {each}\n" in stderr
        assert f"- {each}\n" in (tmp_path / "out/REPORT.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("time_check", "implausible"),
    [
        ("1970-01-01 00:00:00", 40),
        ("0001-01-01T00:00:00", 40),
        ("9999-12-31", 40),
        ("2015-01-01", 0),
        ("2022-04-01", 0),
    ],
)
def test_times_apart_from_the_rest_are_counted(
    time_check: str, implausible: int, tmp_path: Path, capsys: Captured
) -> None:
    trained, stderr = _trained(tmp_path, _changed({"time_check": time_check}), capsys)
    apart = (
        "time_check: 40 of 400 rows are more than a year apart from most; placeholders and wrong "
        "clocks spoil a split by time"
    )
    assert trained["years_apart"] == 40
    assert trained["data"]["warnings"].get("implausible-time:time_check", 0) == implausible
    assert f"warning: {apart}\n" in stderr
    reasons = "time_check: 40 of 400 rows have a time before 1990 or after tomorrow"
    assert (reasons in trained["warnings"]) == bool(implausible)


def test_a_year_of_rows_is_not_apart(tmp_path: Path, capsys: Captured) -> None:
    rows = labelled(every=86_400)
    trained, stderr = _trained(tmp_path, rows, capsys)
    assert trained["years_apart"] == 0
    assert "apart" not in stderr


def test_months_that_only_the_newest_rows_have_are_no_unseen_categories(
    tmp_path: Path, capsys: Captured
) -> None:
    rows = labelled(every=86_400)  # from March 2021 to April 2022
    trained, stderr = _trained(tmp_path, rows, capsys)
    assert "month" not in trained["unseen"]
    assert "weekday" not in trained["unseen"]
    assert "month:" not in stderr
    scorer = RegnoScorer.load(tmp_path / "out/regno.cbm")
    assert scorer.manifest
    assert "February" not in scorer.manifest.vocabularies["month"]


def test_a_network_of_other_lengths_is_known_by_its_lists(tmp_path: Path, capsys: Captured) -> None:
    rows = labelled()
    for row in rows:
        row[_LENGTHS] = row[_LENGTHS].removesuffix("]") + ", 0.0, 0.0]"
    rows[7][_LENGTHS] = "[1.0]"
    trained, _ = _trained(tmp_path, rows, capsys)
    assert trained["data"]["plate_lengths"] == 13
    assert trained["data"]["warnings"] == {f"length-mismatch:{_LENGTHS}": 1}
    scorer = RegnoScorer.load(tmp_path / "out/regno.cbm")
    assert scorer.plate_lengths == 13
