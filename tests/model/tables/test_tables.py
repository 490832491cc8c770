"""Files as people have them: the same rows in any form, and what is said of wrong files."""

import codecs
import csv
import gzip
import io
import re
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.regno.dataset.rows import read
from model.regno.request import FIELDS
from model.tables.errors import TableRefused
from model.tables.format import Options, add_format_options, encoding_of, options_of
from tests.support.labelled import labelled
from tests.support.tables import as_csv

COLUMNS = (*FIELDS, "label")
# Programs for tables write fifteen digits.
ROWS = [
    {
        **row,
        "recognition_accuracy": 94.5,
        "afts_regno_ai_score": round(row["afts_regno_ai_score"], 9),
    }
    for row in labelled(40)
]


def _csv(sep: str = ",", encoding: str = "utf-8", **how: Any) -> bytes:
    return as_csv(ROWS, COLUMNS, delimiter=sep, **how).decode().encode(encoding)


def _with_header(rename: Callable[[str], str]) -> bytes:
    header, _, rest = _csv(";").decode().partition("\n")
    return (";".join(map(rename, header.split(";"))) + "\n" + rest).encode()


def _with_commas(sep: str, between: str = ", ") -> bytes:
    """As an office program writes it where decimals have commas, within lists, too."""
    text = _csv(sep).decode().replace(", ", between)
    return re.sub(r"(\d)\.(\d)", r"\1,\2", text).encode("cp1251")


def _numbers_with_commas() -> bytes:
    rows = [
        {
            name: str(value).replace(".", ",") if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in ROWS
    ]
    return as_csv(rows, COLUMNS)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    frame = pd.DataFrame(rows)
    frame["time_check"] = pd.to_datetime(frame["time_check"])
    frame["camera_class"] = frame["camera_class"].astype("category")
    for name in ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores"):
        frame[name] = [list(map(float, text[1:-1].split(", "))) for text in frame[name]]
    frame.to_parquet(out)
    return out.getvalue()


def _excel(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    frame = pd.DataFrame(rows)
    frame["time_check"] = pd.to_datetime(frame["time_check"])
    frame.to_excel(out, index=False)
    return out.getvalue()


def _json_lines(**how: Any) -> bytes:
    text: str = pd.DataFrame(ROWS).to_json(orient="records", lines=True, double_precision=15, **how)
    return text.encode()


FORMS: dict[str, tuple[bytes, str]] = {
    "commas": (_csv(), "CSV separated by ',', utf-8"),
    "semicolons": (_csv(";"), "CSV separated by ';', utf-8"),
    "tabs": (_csv("\t"), "CSV separated by a tab, utf-8"),
    "bars": (_csv("|"), "CSV separated by '|', utf-8"),
    "windows": (_csv(";", "cp1251", lineterminator="\r\n"), "CSV separated by ';', cp1251"),
    "dos": (_csv(";", "cp866"), "CSV separated by ';', cp866"),
    "koi8": (_csv(";", "koi8-r"), "CSV separated by ';', koi8-r"),
    "mark": (_csv(encoding="utf-8-sig"), "CSV separated by ',', utf-8-sig"),
    "utf-16": (_csv("\t", "utf-16"), "CSV separated by a tab, utf-16"),
    "utf-16 big": (codecs.BOM_UTF16_BE + _csv(";", "utf-16-be"), "CSV separated by ';', utf-16"),
    "utf-16 bare": (_csv(";", "utf-16-le"), "CSV separated by ';', utf-16-le"),
    "all quoted": (_csv(quoting=csv.QUOTE_ALL), "CSV separated by ',', utf-8"),
    "upper": (_with_header(str.upper), "CSV separated by ';', utf-8"),
    "spaced": (_with_header(lambda name: f" {name} "), "CSV separated by ';', utf-8"),
    "words": (
        _with_header(lambda name: name.replace("_", " ").title()),
        "CSV separated by ';', utf-8",
    ),
    "commas in decimals": (
        _numbers_with_commas(),
        "CSV separated by ',', utf-8, decimal commas",
    ),
    "commas in lists": (_with_commas(";"), "CSV separated by ';', cp1251, decimal commas"),
    "semicolons in lists": (
        _with_commas("\t", "; "),
        "CSV separated by a tab, cp1251, decimal commas",
    ),
    "gzip": (gzip.compress(_csv(";", "cp1251")), "CSV separated by ';', cp1251, gzip"),
    "parquet": (_parquet(ROWS), "Parquet"),
    "parquet in gzip": (gzip.compress(_parquet(ROWS)), "Parquet, gzip"),
    "excel": (_excel(ROWS), "Excel"),
    "json lines": (_json_lines(force_ascii=False), "JSON lines, utf-8"),
    "json lines escaped": (_json_lines(force_ascii=True), "JSON lines, utf-8"),
}


@pytest.mark.parametrize("form", FORMS)
def test_labelled_rows_are_the_same_in_any_form(form: str) -> None:
    content, found = FORMS[form]
    contents = read(io.BytesIO(content), "label", lambda _: None)
    assert str(contents.format) == found
    assert contents.faults == []
    wanted = read(io.BytesIO(_csv()), "label", lambda _: None)
    pd.testing.assert_frame_equal(contents.rows.table, wanted.rows.table, check_exact=True)
    assert contents.rows.labels.tolist() == wanted.rows.labels.tolist()
    assert contents.rows.times.tolist() == wanted.rows.times.tolist()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("rows.csv", _csv())
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"a;b\n1;2\n", r"its header lacks regno_recognize, .*; it has a, b"),
        (_csv().partition(b"\n")[2], "its first line has numbers and is no header: "),
        (_zip(), "it looks like a ZIP archive, .*: unpack it first"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), r"it looks like an old Excel file \(.xls\): save it as"),
        (b"BZh91AY", "it looks compressed by bzip2: "),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "it looks like a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "it looks like a JPEG picture"),
        (b"sep=;\r\n" + _csv(), r"its first line is for Excel alone \(sep=\): delete it"),
        (_csv().replace(b"\n", b"\r"), "its lines end with CR, as on old Macs"),
        (b'[{"a": 1}]', "it looks like a JSON array: write one object to a line"),
        (b"<html><table>", "it looks like HTML or XML: export the table as CSV"),
        (gzip.compress(_csv())[:-60], "its gzip data are damaged or incomplete"),
        (_parquet(ROWS)[:-200], "its Parquet data are damaged"),
        (
            _with_header(lambda name: "Label" if name == "direction" else name.upper()),
            "its header lacks direction",
        ),
    ],
)
def test_wrong_files_get_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(TableRefused, match=reason) as error:
        read(io.BytesIO(content), "label", lambda _: None)
    assert "\n" not in str(error.value)


def test_a_name_that_two_columns_may_have_is_refused(tmp_path: Path) -> None:
    header = ",".join(name.upper() for name in FIELDS)
    (tmp_path / "rows").write_text(f"{header},Camera Type,label\n", "utf-8")
    with pytest.raises(TableRefused, match="its header names twice: camera_type"):
        read(tmp_path / "rows", "label", lambda _: None)


def test_a_row_in_place_of_the_header_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("А939НО196,А939НО196,note\n", "utf-8")
    with pytest.raises(TableRefused) as error:
        read(tmp_path / "rows", "label", lambda _: None)
    assert "А939НО196" not in str(error.value)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("[0,99,0,98]", "commas may be between numbers or before decimals: "),
        ("[1,0,1]", "commas may be between numbers or before decimals: "),
    ],
)
def test_lists_that_can_be_read_two_ways_are_bad(cell: str, reason: str) -> None:
    content = _with_commas(";").decode("cp1251")
    content = re.sub(r"\[[^]]*\]", cell, content, count=1)
    contents = read(io.BytesIO(content.encode()), "label", lambda _: None)
    (fault,) = contents.faults
    assert fault.where == "line 2"
    assert fault.reason.startswith(f"afts_regno_ai_char_scores: {reason}")


def test_faults_name_the_rows_of_a_sheet_and_the_lines_of_json() -> None:
    rows = [*map(dict, ROWS)]
    rows[4]["direction"] = 7
    faults = read(io.BytesIO(_excel(rows)), "label", lambda _: None).faults
    assert faults == [("row 6", "direction: must be <= 1")]
    lines = _json_lines().splitlines()
    lines[2:3] = [b"", b"[1]", b'{"label": 1}']
    faults = read(io.BytesIO(b"\n".join(lines)), "label", lambda _: None).faults
    assert faults == [
        ("line 4", "the row is no JSON object"),
        ("line 5", "regno_recognize: is missing"),
    ]


def test_one_line_in_another_encoding_does_not_change_that_of_the_file() -> None:
    lines = _csv().splitlines()
    lines[5] = lines[5].decode().encode("cp1251")
    contents = read(io.BytesIO(b"\n".join(lines)), "label", lambda _: None)
    assert contents.format.encoding == "utf-8"
    assert [fault.where for fault in contents.faults] == ["line 6"]


@pytest.mark.parametrize("encoding", ["cp1251", "cp866", "koi8-r", "utf-8"])
@pytest.mark.parametrize(
    "text", ["Стационарная", "Стрелка-М\nАстра-Трафик", "Передвижная", "Стрит Фалькон"]
)
def test_words_show_their_encoding(text: str, encoding: str) -> None:
    assert encoding_of(text.encode(encoding)) == encoding


def test_what_is_said_is_not_found_out() -> None:
    parser = ArgumentParser(exit_on_error=False)
    add_format_options(parser)
    given = parser.parse_args(["--sep", "tab", "--encoding", "windows-1251", "--decimal", ","])
    assert options_of(given) == Options("\t", "cp1251", ",")
    assert options_of(parser.parse_args([])) == Options()
    content = _csv("\t", "cp1251")
    contents = read(io.BytesIO(content), "label", lambda _: None, options_of(given))
    assert str(contents.format) == "CSV separated by a tab, cp1251, decimal commas"
    with pytest.raises(TableRefused, match="its header lacks"):
        read(io.BytesIO(content), "label", lambda _: None, Options(sep=";"))


@pytest.mark.parametrize("option", [("--sep", "#"), ("--encoding", "utf-9"), ("--decimal", ";")])
def test_options_that_make_no_sense(option: tuple[str, str], capsys: Any) -> None:
    parser = ArgumentParser()
    add_format_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(option)
    assert repr(option[1]) in capsys.readouterr().err


def _with_days_first(text: str) -> str:
    """Times as an office program writes them: 1.08.2021 9:02:59."""
    return re.sub(
        r"(\d{4})-0?(\d\d?)-0?(\d\d?) 0?(\d\d?):(\d\d)",
        lambda found: "{2}.{1:0>2}.{0} {3}:{4}".format(*found.groups()),
        text,
    )


def test_times_with_the_day_first_are_read() -> None:
    """As `1.08.2021 9:02:59`, the form of office programs in many countries."""
    text = _with_days_first(_csv(";").decode())
    assert len(re.findall(r"\d\.\d\d\.20\d\d \d\d?:", text)) == len(ROWS)
    contents = read(io.BytesIO(text.encode()), "label", lambda _: None)
    wanted = read(io.BytesIO(_csv()), "label", lambda _: None)
    assert str(contents.format) == "CSV separated by ';', utf-8, times with the day first"
    assert contents.faults == []
    pd.testing.assert_frame_equal(contents.rows.table, wanted.rows.table, check_exact=True)
    assert contents.rows.times.tolist() == wanted.rows.times.tolist()
