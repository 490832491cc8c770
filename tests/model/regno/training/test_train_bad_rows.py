"""Rows that can't be trained on: reported by line and field, or left out and counted."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.labelled import labelled, report, run, write
from tests.support.messages import mentions, states
from tests.support.tables import HEADER, as_csv, in_process

Captured = pytest.CaptureFixture[str]
BAD: list[tuple[int, dict[str, Any]]] = [
    (7, {"recognition_accuracy": "101"}),
    (8, {"time_check": "01.03.2021"}),
    (40, {"afts_regno_ai_char_scores": "[0.5"}),
    (41, {"direction": ""}),
]


def _refused(folder: Path, rows: list[dict[str, Any]], captured: Captured) -> str:
    write(folder / "rows.csv", rows)
    before = sorted(path.name for path in folder.iterdir())
    assert run(folder) == 65
    assert sorted({*before, "tiny.toml"}) == sorted(path.name for path in folder.iterdir())
    out, errors = captured.readouterr()
    assert out == ""
    assert "Traceback" not in errors
    return errors


def _spoilt() -> list[dict[str, Any]]:
    rows = labelled()
    for number, change in BAD:
        rows[number] |= change
    return rows


def test_bad_rows_are_reported_by_line_in_the_text_of_scoring(
    tmp_path: Path, capsys: Captured
) -> None:
    rows = _spoilt()
    errors = _refused(tmp_path, rows, capsys)
    assert states(errors[errors.index("4 of 400 ") :], "4 of 400 rows", "--skip-bad")
    spoilt = [{k: v for k, v in rows[n].items() if k != "label"} for n, _ in BAD]
    phrases = [row["error"] for row in in_process(as_csv(spoilt))]
    # The header is line 1, and row 0 is line 2.
    lines = [f"  line {n + 2}: {w}" for (n, _), w in zip(BAD, phrases, strict=True)]
    assert errors.splitlines()[1:] == lines
    assert all(phrases)


def test_lines_are_the_files_even_after_cells_of_several_lines(
    tmp_path: Path, capsys: Captured
) -> None:
    rows = labelled()
    rows[0]["camera_class"] = "Астра\nТрафик"
    rows[9]["label"] = "2"
    assert mentions(_refused(tmp_path, rows, capsys), "line 12: label: ", "0 or 1")


@pytest.mark.parametrize("field", ["camera_class", "camera_type"])
def test_a_column_of_names_that_holds_plates_is_refused(
    tmp_path: Path, capsys: Captured, field: str
) -> None:
    rows = labelled()
    for row in rows[::2]:
        row[field] = row["regno_recognize"]
    errors = _refused(tmp_path, rows, capsys)
    assert mentions(errors, "refused", f"{field} of ", "number plates")
    assert not [row for row in rows if row["regno_recognize"] in errors]
    assert run(tmp_path, "--skip-bad") == 65


@pytest.mark.parametrize("plate", ["А939НО196", "77 1234 АВ", "a939ho196"])
def test_a_single_plate_in_a_column_of_names_is_a_bad_row(
    tmp_path: Path, capsys: Captured, plate: str
) -> None:
    rows = labelled()
    rows[5]["camera_class"] = plate
    errors = _refused(tmp_path, rows, capsys)
    (line,) = errors.splitlines()[1:]
    assert states(line, "  line 7: camera_class: ", "number plate")
    assert run(tmp_path, "--skip-bad") == 0
    manifest = (tmp_path / "out" / "manifest.json").read_text("utf-8")
    assert "Астра-Трафик" in manifest
    assert plate not in manifest


@pytest.mark.parametrize("label", ["2", "yes", "0.5", "-1", " 1"])
def test_a_label_is_0_or_1(tmp_path: Path, capsys: Captured, label: str) -> None:
    rows = labelled()
    rows[0]["label"] = label
    assert mentions(_refused(tmp_path, rows, capsys), "line 2: label: ", "0 or 1")


def test_of_many_bad_rows_the_first_ten_are_reported(tmp_path: Path, capsys: Captured) -> None:
    rows = [{**row, "direction": "7"} for row in labelled(250)]
    rows[0]["direction"] = "0"
    errors = _refused(tmp_path, rows, capsys).splitlines()
    assert states(errors[0][errors[0].index("249 of ") :], "249 of 250 rows", "--skip-bad")
    assert [line.split(": ")[:2] for line in errors[1:11]] == [
        [f"  line {line}", "direction"] for line in range(3, 13)
    ]
    rest, counted = errors[11:]
    assert "239 more" in rest
    assert states(counted, "  249 × direction: ", "1")


@pytest.mark.parametrize("options", [(), ("--skip-bad",)])
def test_of_rows_that_are_all_bad_none_can_be_left_out(
    tmp_path: Path, capsys: Captured, options: tuple[str, ...]
) -> None:
    write(tmp_path / "rows.csv", [{**row, "recognition_accuracy": "6,4"} for row in labelled(20)])
    assert run(tmp_path, *options) == 65
    errors = capsys.readouterr().err
    assert mentions(errors, "20 of 20 rows", "bad")
    assert "20 × recognition_accuracy: " in errors
    assert "--skip-bad" not in errors


def test_bad_rows_can_be_left_out_and_are_counted(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "rows.csv", _spoilt())
    assert run(tmp_path, "--skip-bad") == 0
    assert mentions(capsys.readouterr().err, "4 of 400 rows", "left out")
    result = report(tmp_path / "out")
    assert result["data"]["rows"] == 396
    assert sum(result["data"]["left_out"].values()) == 4
    assert sum(part["rows"] for part in result["parts"].values()) == 396
    assert "Rows left out: 4." in (tmp_path / "out/REPORT.md").read_text(encoding="utf-8")


def test_a_run_without_its_bad_rows_is_that_of_a_file_without_them(tmp_path: Path) -> None:
    spoilt = _spoilt()
    good = [row for number, row in enumerate(spoilt) if number not in dict(BAD)]
    figures = []
    for name, rows in (("with", spoilt), ("without", good)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "rows.csv", rows)
        assert run(tmp_path / name, "--skip-bad") == 0
        figures.append(report(tmp_path / name / "out")["model"])
    assert figures[0] == figures[1]


def test_unusual_but_good_rows_keep_their_place(tmp_path: Path) -> None:
    """They are read by other code than the rest; labels must stay with their rows."""
    rows, odd = labelled(), labelled()
    for row in odd[::3]:
        row["recognition_accuracy"] = f"{float(row['recognition_accuracy'])!r}"
        row["afts_regno_ai_char_scores"] = f" {row['afts_regno_ai_char_scores']} "
        row["time_check"] = row["time_check"] + ".5+03:00"
    figures = []
    for name, made in (("usual", rows), ("odd", odd)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "rows.csv", made)
        assert run(tmp_path / name) == 0
        result = report(tmp_path / name / "out")
        figures.append((result["model"], result["parts"]))
    assert figures[0] == figures[1]


def test_few_rows_are_refused(tmp_path: Path, capsys: Captured) -> None:
    assert mentions(_refused(tmp_path, labelled(199), capsys), "199 good rows", "200")


def test_no_rows_at_all_are_refused(tmp_path: Path, capsys: Captured) -> None:
    assert mentions(_refused(tmp_path, [], capsys), "0 good rows")


def test_labels_of_one_kind_are_refused(tmp_path: Path, capsys: Captured) -> None:
    rows = [{**row, "label": 1} for row in labelled()]
    assert mentions(_refused(tmp_path, rows, capsys), "400 labels are 1")


def test_labels_of_one_kind_in_a_part_are_refused(tmp_path: Path, capsys: Captured) -> None:
    rows = labelled()
    for row in rows[340:]:
        row["label"] = 0
    errors = _refused(tmp_path, rows, capsys)
    assert mentions(errors, "60 labels", "held-out rows", "2021-03-01")


@pytest.mark.parametrize("seconds", [1, 2])
def test_rows_of_one_second_or_two_are_refused(
    tmp_path: Path, capsys: Captured, seconds: int
) -> None:
    rows = labelled()
    for number, row in enumerate(rows):
        row["time_check"] = f"2021-03-01 06:00:0{number % seconds}"
    errors = _refused(tmp_path, rows, capsys)
    assert mentions(errors, f"{seconds} different seconds", "time_check")


def test_rows_of_one_second_stay_together(tmp_path: Path) -> None:
    rows = labelled()
    for row in rows[250:330]:
        row["time_check"] = rows[250]["time_check"]
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path) == 0
    parts = report(tmp_path / "out")["parts"]
    # Row 280 would be the first for validation: the nearest new second is that of row 250.
    assert [part["rows"] for part in parts.values()] == [250, 90, 60]


def test_a_part_too_small_is_refused(tmp_path: Path, capsys: Captured) -> None:
    rows = labelled()
    for row in rows[:390]:
        row["time_check"] = "2021-03-01 06:00:00"
    errors = _refused(tmp_path, rows, capsys)
    assert mentions(errors, "validation rows", "at least 20")


@pytest.mark.parametrize(
    ("content", "status", "facts"),
    [
        (None, 66, ("rows.csv: ", "No such file")),
        (b"", 65, ("refused", "empty")),
        (b"a,b\n1,2\n", 65, ("header lacks", "regno_recognize")),
        (HEADER, 65, ("header lacks label",)),
        (HEADER.replace(b"\n", b",id,truth\n"), 65, ("lacks label", "it also has id, truth")),
        (HEADER.replace(b"\n", b",label,label\n"), 65, ("header", "twice: label")),
    ],
)
def test_files_that_are_no_such_table(
    tmp_path: Path, capsys: Captured, content: bytes | None, status: int, facts: tuple[str, ...]
) -> None:
    if content is not None:
        (tmp_path / "rows.csv").write_bytes(content)
    assert run(tmp_path) == status
    assert mentions(capsys.readouterr().err, *facts)
    assert not (tmp_path / "out").exists()


def test_a_field_of_the_reading_is_no_label(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "rows.csv", labelled())
    assert run(tmp_path, "--label", "direction") == 65
    assert mentions(capsys.readouterr().err, "direction", "field")


def test_categories_new_in_the_newest_rows_are_reported(tmp_path: Path, capsys: Captured) -> None:
    rows = labelled()
    for row in rows[360:]:
        row["camera_class"] = "Новая"
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path) == 0
    assert mentions(capsys.readouterr().err, "warning: camera_class: ", "40 of 60 held-out rows")
    result = report(tmp_path / "out")
    assert result["unseen"]["camera_class"] == 40
    assert result["by_camera_class"]["Новая"]["rows"] == 40


def test_readings_that_training_has_too_are_counted(tmp_path: Path) -> None:
    rows = labelled()
    plates = ("regno_recognize", "afts_regno_ai")
    for at in (350, 360, 370):
        rows[at] |= {name: rows[3][name] for name in plates}
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path) == 0
    assert report(tmp_path / "out")["known_pairs"] == 3


def test_plates_all_empty(tmp_path: Path, capsys: Captured) -> None:
    rows = [{**row, "regno_recognize": "", "afts_regno_ai": ""} for row in labelled()]
    errors = _refused(tmp_path, rows, capsys)
    assert mentions(errors, "afts_regno_ai", "empty", "training rows")


def test_training_takes_two_words_for_labels(tmp_path: Path) -> None:
    rows = labelled()
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path, out="digits") == 0
    write(tmp_path / "rows.csv", [row | {"label": "да" if row["label"] else "нет"} for row in rows])
    assert run(tmp_path, "--positive", "Да", out="words") == 0
    assert report(tmp_path / "words")["model"] == report(tmp_path / "digits")["model"]
