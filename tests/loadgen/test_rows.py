"""Request bodies from a CSV."""

import csv
import json
import sys
from pathlib import Path

import pytest

from loadgen.common import rows
from loadgen.common.errors import CannotStart
from tests.support.bench_rows import READING, write_csv


def test_bodies_carry_numbers_as_numbers_and_lists_as_text(tmp_path: Path) -> None:
    (body,) = rows.singles(rows.read(write_csv(tmp_path / "rows.csv", READING)))
    assert json.loads(body) == READING | {
        "recognition_accuracy": 6.4,
        "afts_regno_ai_score": 0.87,
        "direction": 0,
    }
    assert b"\n" not in body


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    backwards = dict(reversed(READING.items())) | {"more": "than needed"}
    (row,) = rows.read(write_csv(tmp_path / "rows.csv", backwards))
    assert tuple(row) == rows.FIELDS


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", {k: v for k, v in READING.items() if k != "direction"})
    with pytest.raises(CannotStart, match="direction"):
        rows.read(path)


@pytest.mark.parametrize("text", [None, "a,b\n"])
def test_no_rows_are_an_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "rows.csv"
    if text:
        path.write_text(text)
    with pytest.raises(CannotStart, match=r"rows\.csv"):
        rows.read(path)


def test_the_mark_of_a_spreadsheet_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", READING)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(rows.read(path)) == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"6.4", b"nan", "an invalid number"),
        (b"6.4", b"six", "an invalid number"),
        (b"6.4", b"\xff", "not in UTF-8"),
        (b"6.4", b"6" * 200_000, "not a CSV"),
    ],
)
def test_values_that_no_client_can_send_are_rejected(
    tmp_path: Path, old: bytes, new: bytes, reason: str
) -> None:
    path = write_csv(tmp_path / "rows.csv", READING)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(CannotStart, match=rf"rows\.csv.* {reason}"):
        rows.read(path)


def test_a_long_field_is_rejected_whatever_limit_the_process_has(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", READING | {"recognition_accuracy": "6" * 200_000})
    before = csv.field_size_limit(sys.maxsize)
    try:
        with pytest.raises(CannotStart, match=r"rows\.csv is not a CSV"):
            rows.read(path)
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(("size", "count"), [(10, 32), (1000, 20), (10_000, 2), (30_000, 2)])
def test_arrays_are_full_and_not_too_many(size: int, count: int) -> None:
    bodies = rows.arrays([{"n": 1}, {"n": 2}, {"n": 3}], size)
    assert [len(json.loads(body)) for body in bodies] == [size] * count


def test_arrays_go_on_where_the_last_one_ended() -> None:
    first, second, *_ = rows.arrays([{"n": 1}, {"n": 2}, {"n": 3}], 2)
    assert json.loads(first) == [{"n": 1}, {"n": 2}]
    assert json.loads(second) == [{"n": 3}, {"n": 1}]
