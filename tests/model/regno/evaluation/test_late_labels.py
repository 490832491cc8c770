"""`python -m model.evaluate --join`: labels of another file, by a key of one or more columns."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.regno import MODEL
from model.regno.request import FIELDS, from_fields
from model.scorer import Captured
from tests.support.evaluating import Measured, run, save
from tests.support.labelled import labelled, write
from tests.support.messages import mentions

ROWS = labelled(700)


def test_labels_that_came_later_are_joined_by_a_key(
    tmp_path: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    unlabelled = [
        {"passage": f"p{at}", **{name: row[name] for name in row if name != "label"}}
        for at, row in enumerate(ROWS)
    ]
    save(tmp_path / "rows.csv", unlabelled)
    late = [{"truth": row["label"], "passage": f"p{at}"} for at, row in enumerate(ROWS)]
    save(tmp_path / "late.csv", [*late[50:], {"truth": 1, "passage": "p9999"}])
    late_labels = ("--join", tmp_path / "late.csv", "--on", "passage", "--label", "truth")
    assert run(tmp_path / "rows.csv", *late_labels, "--json") == 0
    printed = capsys.readouterr()
    assert mentions(printed.err, "passage: 650 of 651 labels", "650 rows, 1 without a row; 50 rows")
    joined, same = json.loads(printed.out), measured(write(tmp_path / "same.csv", ROWS[50:]))
    assert joined["measures"] == same["measures"]
    assert joined["data"]["left_out"] == {"no label with its key": 50}


def test_long_keys_are_joined_digit_by_digit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As floating-point numbers, which an empty key would make of them, these are all one."""
    first = 10**17
    save(tmp_path / "rows.csv", [{"id": first + at, **row} for at, row in enumerate(ROWS[:200])])
    late: list[dict[str, Any]] = [
        {"id": first + at, "truth": row["label"]} for at, row in enumerate(ROWS[:200])
    ]
    save(tmp_path / "late.csv", [*late[20:], {"id": "", "truth": 1}])
    join = ("--join", tmp_path / "late.csv", "--on", "id", "--label", "truth", "--json")
    assert run(tmp_path / "rows.csv", *join) == 0
    printed = capsys.readouterr()
    assert mentions(
        printed.err, "180 rows, 0 without", "; 20 rows have no", "1 labels have no whole"
    )
    save(tmp_path / "late.csv", [{"id": first + 500, "truth": 1}, {"id": "", "truth": 1}])
    assert run(tmp_path / "rows.csv", *join) == 65
    assert mentions(capsys.readouterr().err, "no value of id", "common")


def test_keys_of_floating_point_numbers_are_joined_as_whole_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pandas makes them of a column of whole numbers with an empty cell."""
    first = 12_345_678_901
    keyed = pd.DataFrame([{"id": float(first + at), **row} for at, row in enumerate(ROWS[:200])])
    keyed.to_parquet(tmp_path / "rows.parquet")
    late = [{"id": first + at, "truth": row["label"]} for at, row in enumerate(ROWS[:200])]
    save(tmp_path / "late.csv", late)
    join = ("--join", tmp_path / "late.csv", "--on", "id", "--label", "truth", "--json")
    assert run(tmp_path / "rows.parquet", *join) == 0
    assert mentions(capsys.readouterr().err, "200 of 200 labels used for 200 rows", "; 0 rows")


@pytest.mark.parametrize(("kind", "least"), [("float64", 10**17), ("float32", 2**24)])
def test_keys_that_a_file_does_not_keep_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, least: int
) -> None:
    keyed = pd.DataFrame([{"id": float(least + at), **ROWS[at]} for at in range(3)])
    keyed.astype({"id": kind}).to_parquet(tmp_path / "rows.parquet")
    save(tmp_path / "late.csv", [{"id": least, "label": 1}])
    assert run(tmp_path / "rows.parquet", "--join", tmp_path / "late.csv", "--on", "id") == 65
    assert mentions(capsys.readouterr().err, "id", "more digits")


def test_lists_of_any_form_are_joined(tmp_path: Path, measured: Measured) -> None:
    lists = ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores")
    rows = [
        {"id": at} | row | {name: json.loads(str(row[name])) for name in lists}
        for at, row in enumerate(ROWS)
    ]
    pd.DataFrame(rows).drop(columns="label").to_parquet(tmp_path / "rows.parquet")
    save(tmp_path / "late.csv", [{"id": row["id"], "label": row["label"]} for row in rows])
    joined = measured(tmp_path / "rows.parquet", "--join", tmp_path / "late.csv", "--on", "id")
    same = measured(write(tmp_path / "same.csv", ROWS))
    assert joined["measures"] == same["measures"]


def test_bad_rows_and_labels_that_were_joined_are_named_where_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows without a label and an empty line come before; the other file has the bad label."""
    rows = [{"id": at, **row} for at, row in enumerate(ROWS[:6])]
    rows[4]["direction"] = 5
    lines = save(tmp_path / "rows.csv", rows).read_bytes().splitlines(keepends=True)
    (tmp_path / "rows.csv").write_bytes(b"".join([*lines[:2], b"\n", *lines[2:]]))
    late = [{"id": at, "truth": "?" if at == 5 else 1} for at in (5, 4, 3)]
    join = ("--join", tmp_path / "late.csv", "--on", "id", "--label", "truth")
    save(tmp_path / "late.csv", late)
    assert run(tmp_path / "rows.csv", *join) == 65
    printed = capsys.readouterr().err
    assert f"{tmp_path / 'rows.csv'}: 2 of 3 rows are bad" in printed
    assert "  line 7: direction: " in printed
    assert f"  line 2 of {tmp_path / 'late.csv'}: truth: must be 0 or 1" in printed
    pd.DataFrame(rows).to_parquet(tmp_path / "rows.parquet")
    pd.DataFrame(late).astype({"truth": str}).to_excel(tmp_path / "late.xlsx", index=False)
    join = ("--join", tmp_path / "late.xlsx", "--on", "id", "--label", "truth")
    assert run(tmp_path / "rows.parquet", *join) == 65
    printed = capsys.readouterr().err
    assert "  row 5: direction: " in printed
    assert f"  row 2 of {tmp_path / 'late.xlsx'}: truth: must be 0 or 1" in printed


def test_two_labels_of_one_key_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "rows.csv", [{"id": 1, **row} for row in ROWS[:10]])
    save(tmp_path / "late.csv", [{"id": 1, "label": 0}, {"id": 1, "label": 1}])
    assert run(tmp_path / "rows.csv", "--join", tmp_path / "late.csv", "--on", "id") == 65
    assert mentions(capsys.readouterr().err, "1 values of id", "two labels")


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captured rows of 80 requests, each an array of three readings."""
    path = tmp_path_factory.mktemp("captured") / "captured.parquet"
    readings = [from_fields(**{name: row[name] for name in FIELDS}) for row in ROWS[:240]]
    captured = [
        Captured(f"r{at // 3}", at % 3, 1.6e9, "v1", 0.5, reading)
        for at, reading in enumerate(readings)
    ]
    MODEL.write_captured(path, captured, plates=False)
    return path


def _of_arrays() -> list[dict[str, Any]]:
    return [
        {"request_id": f"r{at // 3}", "row": at % 3, "label": row["label"]}
        for at, row in enumerate(ROWS[:240])
    ]


def test_rows_of_captured_arrays_get_labels_by_request_and_row(
    captured: Path, tmp_path: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = [
        {"request_id": "r999", "row": 0, "label": 1},
        {"request_id": "r0", "row": "", "label": 1},
    ]
    save(tmp_path / "late.csv", [*reversed(_of_arrays()[6:]), *unknown])
    by = ("--on", "request_id", "--on", "row")
    assert run(captured, "--join", tmp_path / "late.csv", *by, "--json") == 0
    printed = capsys.readouterr()
    counted = (
        "request_id, row: 234 of 235 labels used for 234 rows, 1 without a row; 6 rows have no"
    )
    assert mentions(printed.err, counted, "; 1 labels have no whole key")
    joined = json.loads(printed.out)
    assert joined["joined"] == {
        "labels": 235,
        "used": 234,
        "shared": 0,
        "empty": 0,
        "unkeyed": 1,
        "rows": 234,
        "rows_with_own": 0,
        "rows_without": 6,
    }
    by_hand = pd.read_parquet(captured).merge(pd.DataFrame(_of_arrays()[6:]))
    by_hand.to_parquet(tmp_path / "by_hand.parquet")
    assert joined["measures"] == measured(tmp_path / "by_hand.parquet")["measures"]


def test_a_label_serves_several_rows_only_if_that_is_wanted(
    captured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the request alone, the label of an array's first row would be that of all its rows."""
    firsts = [{name: row[name] for name in ("request_id", "label")} for row in _of_arrays()[::3]]
    save(tmp_path / "late.csv", firsts)
    join = ("--join", tmp_path / "late.csv", "--on", "request_id")
    assert run(captured, *join) == 65
    refused = capsys.readouterr().err
    assert mentions(refused, "80 labels", "line 2 of", "serves 3", "--on", "--many-to-one")
    assert run(captured, *join, "--many-to-one", "--json") == 0
    printed = capsys.readouterr()
    assert mentions(printed.err, "80 of 80 labels used for 240 rows", "80 labels serve several")
    assert json.loads(printed.out)["joined"]["shared"] == 80
    assert mentions(printed.err, "warning: 80 labels", "independent")


def test_an_empty_label_is_none_yet(
    tmp_path: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "rows.csv", [{"id": at, **row} for at, row in enumerate(ROWS)])
    late = [{"id": at, "truth": row["label"]} for at, row in enumerate(ROWS)]
    empty = [{"id": at, "truth": " " * (at % 2)} for at in range(40)]
    save(tmp_path / "late.csv", [*empty, *late[30:]])
    join = ("--join", tmp_path / "late.csv", "--on", "id", "--label", "truth")
    assert run(tmp_path / "rows.csv", *join, "--json") == 0
    printed = capsys.readouterr()
    assert mentions(
        printed.err, "670 rows, 0 without", "30 rows have no label; 30 labels are empty"
    )
    made = json.loads(printed.out)
    assert made["data"]["left_out"] == {"no label with its key": 30}
    same = measured(write(tmp_path / "same.csv", ROWS[30:]))
    assert made["measures"] == same["measures"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_keep_labels_of_their_own_unless_others_differ(
    form: str, tmp_path: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the first rows are in both files, those of the last in the rows alone."""
    rows = [{"id": at, **row} for at, row in enumerate(ROWS)]
    for row in rows[200:600]:
        row["label"] = ""
        if form == "jsonl":
            del row["label"]
    path = tmp_path / f"rows.{form}"
    if form == "csv":
        save(path, rows)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    late = [{"id": at, "label": ROWS[at]["label"]} for at in range(500)]
    save(tmp_path / "late.csv", late)
    join = ("--join", tmp_path / "late.csv", "--on", "id", "--json")
    assert run(path, *join) == 0
    printed = capsys.readouterr()
    counted = "500 of 500 labels used for 500 rows, 0 without a row; 100 rows have no label"
    assert mentions(printed.err, f"{counted}; 100 rows have only a label of their own")
    same = measured(write(tmp_path / "same.csv", [*ROWS[:500], *ROWS[600:]]))
    assert json.loads(printed.out)["measures"] == same["measures"]
    for at in (7, 9):
        late[at]["label"] = 1 - late[at]["label"]
    save(tmp_path / "late.csv", late)
    assert run(path, *join) == 65
    place = f"line {9 if form == 'csv' else 8} from line 9 of {tmp_path / 'late.csv'}"
    assert mentions(capsys.readouterr().err, "2 rows have a label of their own", place)
