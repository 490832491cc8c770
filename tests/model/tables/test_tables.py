"""Files as people have them: the same rows in any form, and what is said of wrong files."""

import codecs
import csv
import gzip
import io
import json
import re
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from model.regno.dataset.rows import read
from model.regno.request import FIELDS
from model.tables.errors import TableRefused
from model.tables.format import SAMPLE_BYTES, add_format_options, encoding_of, options_of
from model.tables.options import Dates, Options
from tests.support.labelled import labelled
from tests.support.messages import states, stating
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


def _dated(form: str) -> bytes:
    """The rows with times of all days of a month, in another form."""
    rows = [
        {**row, "time_check": f"{datetime(2021, 3, 1 + at % 28, 9, 5):{form}}"}  # noqa: DTZ001
        for at, row in enumerate(ROWS)
    ]
    return as_csv(rows, COLUMNS)


def _as_old_excel_text() -> bytes:
    """A sheet whose cells are all text, as an import of CSV leaves them, below a title."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Март", None])
    sheet.append([])
    sheet.append(COLUMNS)
    for row in ROWS:
        day, _, clock = str(row["time_check"]).partition(" ")
        year, month, date = day.split("-")
        texts = row | {"time_check": f"{date}.{month}.{year} {clock}"}
        sheet.append(
            [
                str(value).replace(".", ",") if isinstance(value, float) else value
                for value in map(texts.get, COLUMNS)
            ]
        )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _json_with_commas() -> bytes:
    rows = [row | {"recognition_accuracy": "94,5"} for row in ROWS]
    return b"\n".join(json.dumps(row).encode() for row in rows)


def _with_empty_rows() -> bytes:
    empty = b";" * (len(COLUMNS) - 1) + b"\n"
    header, *rows = _csv(";").splitlines(keepends=True)
    return b"".join([header, empty, *rows, empty, empty])


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
    "old mac": (_csv(";", "cp1251", lineterminator="\r"), "CSV separated by ';', cp1251"),
    "declared": (b"sep=;\r\n" + _csv(";"), "CSV separated by ';', utf-8, header in line 2"),
    "declared wrongly": (b"sep=;\r\n" + _csv(), "CSV separated by ',', utf-8, header in line 2"),
    "declared in utf-16": (
        b"sep=;\r\n".decode().encode("utf-16") + _csv(";", "utf-16-le"),
        "CSV separated by ';', utf-16, header in line 2",
    ),
    "titled": (
        "Отчёт, март\n\n".encode() + _csv(),
        "CSV separated by ',', utf-8, header in line 3",
    ),
    "titled with a mark": (
        "\ufeffОтчёт\n".encode() + _csv(),
        "CSV separated by ',', utf-8-sig, header in line 2",
    ),
    "line ends in the header": (
        _csv(";", quoting=csv.QUOTE_ALL).replace(b"camera_class", b"camera\nclass"),
        "CSV separated by ';', utf-8",
    ),
    "line ends in the header behind a mark": (
        _csv(encoding="utf-8-sig", quoting=csv.QUOTE_ALL).replace(b"regno_rec", b"regno\r\nrec"),
        "CSV separated by ',', utf-8-sig",
    ),
    "rows with a separator more": (
        _csv(";").replace(b"\n", b";\n").replace(b";\n", b"\n", 1),
        "CSV separated by ';', utf-8, rows end with a separator",
    ),
    "header with a separator more": (
        _csv(";").replace(b"\n", b";\n"),
        "CSV separated by ';', utf-8",
    ),
    "camel case": (
        _with_header(lambda name: re.sub("_(.)", lambda found: found[1].upper(), name)),
        "CSV separated by ';', utf-8",
    ),
    "dots": (_with_header(lambda name: name.replace("_", ".")), "CSV separated by ';', utf-8"),
    "empty rows": (_with_empty_rows(), "CSV separated by ';', utf-8"),
    "excel of text": (_as_old_excel_text(), "Excel, decimal commas, times with the day first"),
    "json lines of text": (_json_with_commas(), "JSON lines, utf-8, decimal commas"),
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


def _zip(name: str = "rows.csv") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, _csv())
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"", ("empty",)),
        (codecs.BOM_UTF8, ("empty",)),
        (b"%PDF-1.7", ("PDF",)),
        (b"\x80\x05\x95\x00", ("Python pickle",)),
        (b"CBM1\x00", ("CatBoost model",)),
        (b"rows.csv".ljust(257, b"\0") + b"ustar", ("tar archive",)),
        (b"\x01\x02\x03;\x04\nx", ("binary", "not text")),
        (b'{\n "a": 1\n}', ("first line", "not a JSON object", "one object")),
        (b'{"a":' * 3000 + b"}" * 3000, ("first line", "not a JSON object")),
        (b"a;b\n1;2\n", ("header lacks regno_recognize", "it has a, b")),
        (_csv().partition(b"\n")[2], ("first line", "numbers", "header")),
        (_zip(), ("ZIP archive", "unpack")),
        (b"\xd0\xcf\x11\xe0" + bytes(600), ("Excel", ".xls", "save it as")),
        (
            b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            ("Excel", "password", "save it without"),
        ),
        (_zip("xl/workbook.bin"), ("binary Excel", ".xlsb", "save it as .xlsx")),
        (_zip("content.xml"), ("OpenDocument", "save it as .xlsx")),
        (_excel(ROWS)[:-2000], ("Excel", "damaged")),
        (b"ORC\x08\x03", ("ORC", "Parquet")),
        (b"BZh91AY", ("bzip2",)),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), ("PNG picture",)),
        (b"\xff\xd8\xff\xe0" + bytes(90), ("JPEG picture",)),
        (b'[{"a": 1}]', ("JSON array", "one object")),
        (b"<html><table>", ("HTML", "XML", "CSV")),
        (gzip.compress(_csv())[:-60], ("gzip", "damaged")),
        (_parquet(ROWS)[:-200], ("Parquet", "damaged")),
        (
            _with_header(lambda name: "Label" if name == "direction" else name.upper()),
            ("header lacks direction",),
        ),
    ],
)
def test_wrong_files_get_one_line(content: bytes, facts: tuple[str, ...]) -> None:
    with pytest.raises(TableRefused, match=stating(*facts)) as error:
        read(io.BytesIO(content), "label", lambda _: None)
    assert "\n" not in str(error.value)


def test_a_name_that_two_columns_may_have_is_refused(tmp_path: Path) -> None:
    header = ",".join(name.upper() for name in FIELDS)
    (tmp_path / "rows").write_text(f"{header},Camera Type,label\n", "utf-8")
    with pytest.raises(TableRefused, match=stating("header", "twice: camera_type")):
        read(tmp_path / "rows", "label", lambda _: None)


def test_a_row_in_place_of_the_header_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("А939НО196,А939НО196,note\n", "utf-8")
    with pytest.raises(TableRefused) as error:
        read(tmp_path / "rows", "label", lambda _: None)
    assert "А939НО196" not in str(error.value)


@pytest.mark.parametrize("cell", ["[0,99,0,98]", "[1,0,1]"])
def test_lists_that_can_be_read_two_ways_are_bad(cell: str) -> None:
    content = _with_commas(";").decode("cp1251")
    content = re.sub(r"\[[^]]*\]", cell, content, count=1)
    contents = read(io.BytesIO(content.encode()), "label", lambda _: None)
    (fault,) = contents.faults
    assert fault.where == "line 2"
    assert states(fault.reason, "afts_regno_ai_char_scores: ", "commas", "decimals")


_DAY_FIRST = ("%d.%m.%Y %H:%M", "%d.%m.%Y, %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y  %H:%M")


@pytest.mark.parametrize(
    ("form", "order"),
    [
        *((form, "day") for form in _DAY_FIRST),
        *((form, "month") for form in ("%m/%d/%Y %H:%M", "%m-%d-%Y %H:%M")),
        *((form, "year") for form in ("%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M")),
    ],
)
@pytest.mark.parametrize("pad", [True, False])
def test_times_are_read_in_the_order_that_one_day_above_12_shows(
    form: str, order: str, *, pad: bool
) -> None:
    content = _dated(form)
    if not pad:
        content = re.sub(rb"(?<![\d.:])0(\d[./: -])", rb"\1", content)
    contents = read(io.BytesIO(content), "label", lambda _: None)
    assert contents.faults == []
    assert str(contents.format).endswith(f"times with the {order} first")
    wanted = read(io.BytesIO(_dated("%Y-%m-%d %H:%M")), "label", lambda _: None)
    assert contents.rows.times.tolist() == wanted.rows.times.tolist()


def test_a_comma_for_decimals_that_is_given_holds_for_lists_although_a_number_has_a_point() -> None:
    lists = {"afts_regno_ai_char_scores": "[0,99; 0,87]", "afts_regno_ai_length_scores": "[0,1; 1]"}
    content = as_csv([{**ROWS[0], **lists, "camera_class": "3.5"}], COLUMNS)
    contents = read(io.BytesIO(content), "label", lambda _: None, Options(decimal=","))
    assert contents.faults == []
    assert contents.rows.table["max_sym_score"].tolist() == [0.99]


def test_a_long_cell_does_not_hide_how_numbers_are_written() -> None:
    numbers = {"recognition_accuracy": "6,4", "afts_regno_ai_score": "0,8"}
    rows = [{**ROWS[0], **numbers, "note": note} for note in ("x" * 200_000, "")]
    content = as_csv(rows, (*COLUMNS, "note"))
    assert read(io.BytesIO(content), "label", lambda _: None).faults == []


def test_a_time_that_the_sample_cuts_does_not_change_the_order_of_dates() -> None:
    row = {**ROWS[0], "time_check": "2021-11-21 09:05:00", "label": ""}
    header, line = as_csv([row], COLUMNS).splitlines(keepends=True)
    until_day = line.index(b"2021-11-2") + len(b"2021-11-2")
    # So many rows, the last with a first cell of such a size, that the sample ends within the day.
    begin = b"note," + header
    count, left = divmod(SAMPLE_BYTES - len(begin) - until_day - 1, len(line) + 1)
    content = begin + (b"," + line) * count + b"x" * left + b"," + line
    assert content[:SAMPLE_BYTES].endswith(b"2021-11-2")
    assert read(io.BytesIO(content), "label", lambda _: None).format.dates == ""


def test_hours_of_one_digit_are_read_behind_any_date() -> None:
    content = _dated("%Y-%m-%d %H:%M").replace(b" 09:", b" 9:")
    contents = read(io.BytesIO(content), "label", lambda _: None)
    assert contents.faults == []
    assert contents.rows.table["hour"].tolist() == [9] * len(ROWS)


def test_dates_that_may_be_read_two_ways_need_an_option() -> None:
    rows = [{**ROWS[0], "time_check": "01/03/2021 09:05"}]
    content = as_csv(rows, COLUMNS)
    with pytest.raises(TableRefused, match=stating("day", "12", "--dates dmy", "--dates mdy")):
        read(io.BytesIO(content), "label", lambda _: None)
    months = {
        dates: read(io.BytesIO(content), "label", lambda _: None, Options(dates=dates)).rows.times
        for dates in ("dmy", "mdy")
    }
    assert {name: str(times[0]) for name, times in months.items()} == {
        "dmy": "2021-03-01T09:05:00",
        "mdy": "2021-01-03T09:05:00",
    }


@pytest.mark.parametrize(
    ("form", "dates"),
    [("%d.%m.%y %H:%M", "dmy"), ("%d/%m/%y %H:%M", "dmy"), ("%m/%d/%y %H:%M", "mdy")],
)
def test_years_of_two_digits_need_an_option(form: str, dates: Dates) -> None:
    content = re.sub(rb"(?<![\d.:])0(\d[./: -])", rb"\1", _dated(form))
    with pytest.raises(TableRefused, match=stating("year has two digits", "--dates")):
        read(io.BytesIO(content), "label", lambda _: None)
    contents = read(io.BytesIO(content), "label", lambda _: None, Options(dates=dates))
    assert contents.faults == []
    wanted = read(io.BytesIO(_dated("%Y-%m-%d %H:%M")), "label", lambda _: None)
    assert contents.rows.times.tolist() == wanted.rows.times.tolist()


def test_dates_in_both_orders_are_refused() -> None:
    content = _dated("%d/%m/%Y %H:%M") + _dated("%m/%d/%Y %H:%M").partition(b"\n")[2]
    with pytest.raises(TableRefused, match=stating("dates", "day", "month")):
        read(io.BytesIO(content), "label", lambda _: None)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1614589500", "looks like Unix time in seconds, in UTC: "),
        ("1614589500123", "looks like Unix time in milliseconds, in UTC: "),
        ("44256.25", "looks like Excel's number of days: "),
        ("03/21/2021 06:00 AM", "looks like a time with AM or PM: "),
        ("01.13.2021 09:05", "not a readable time such as "),
        ("41.03.21 09:05", "has a year of two digits: "),
    ],
)
def test_times_that_are_no_wall_clock_are_named(cell: str, reason: str) -> None:
    content = as_csv([ROWS[0], {**ROWS[0], "time_check": cell}], COLUMNS)
    (fault,) = read(io.BytesIO(content), "label", lambda _: None).faults
    assert fault.reason.startswith(f"time_check: {reason}")


def test_a_date_alone_is_a_time_as_in_a_request() -> None:
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y"):
        contents = read(io.BytesIO(_dated(form)), "label", lambda _: None)
        assert contents.faults == []
        assert contents.rows.table["hour"].tolist() == [0] * len(ROWS)


def test_the_first_sheet_with_all_columns_is_read_unless_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    with pd.ExcelWriter(path) as sheets:
        pd.DataFrame({"Отчёт": [1]}).to_excel(sheets, sheet_name="Титул", index=False)
        pd.DataFrame().to_excel(sheets, sheet_name="Пустой", index=False)
        pd.DataFrame(ROWS).to_excel(sheets, sheet_name="Данные", index=False)
        pd.DataFrame(ROWS[:9]).to_excel(sheets, sheet_name="Часть", index=False)
    contents = read(path, "label", lambda _: None)
    assert (len(contents.rows.labels), str(contents.format)) == (len(ROWS), "Excel, sheet 'Данные'")
    contents = read(path, "label", lambda _: None, Options(sheet="Часть"))
    assert (len(contents.rows.labels), str(contents.format)) == (9, "Excel, sheet 'Часть'")
    with pytest.raises(TableRefused, match=stating("it has Отчёт", "--sheet")):
        read(path, "label", lambda _: None, Options(sheet="Титул"))
    with pytest.raises(TableRefused, match=stating("empty", "'Титул', 'Пустой', 'Данные'")):
        read(path, "label", lambda _: None, Options(sheet="Пустой"))
    with pytest.raises(TableRefused, match=stating("it has Отчёт", "none has all")):
        read(path, "other label", lambda _: None)
    with pytest.raises(TableRefused, match=stating("no sheet 'Rows'", "it has 'Титул'")):
        read(path, "label", lambda _: None, Options(sheet="Rows"))


def test_a_hidden_sheet_is_read_only_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    with pd.ExcelWriter(path) as sheets:
        pd.DataFrame(ROWS[:9]).to_excel(sheets, sheet_name="Старое", index=False)
        pd.DataFrame(ROWS).to_excel(sheets, sheet_name="Данные", index=False)
        sheets.book["Старое"].sheet_state = "hidden"
    contents = read(path, "label", lambda _: None)
    assert (len(contents.rows.labels), str(contents.format)) == (len(ROWS), "Excel")
    contents = read(path, "label", lambda _: None, Options(sheet="Старое"))
    assert (len(contents.rows.labels), str(contents.format)) == (9, "Excel")


def _formulas(book: openpyxl.Workbook, columns: Sequence[int], first: int) -> None:
    for row in book.active.iter_rows(min_row=first):
        for at in columns:
            row[at].value = f"=B{row[at].row}"


@pytest.mark.parametrize(
    ("columns", "first", "named"),
    [((0,), 2, "regno_recognize"), (range(len(ROWS[0])), 1, "first sheet")],
)
def test_formulas_without_values_are_named(columns: Sequence[int], first: int, named: str) -> None:
    content = _workbook(lambda book: _formulas(book, columns, first))
    with pytest.raises(TableRefused, match=stating(named, "formulas without values", "save it")):
        read(io.BytesIO(content), "label", lambda _: None)


def _workbook(change: Callable[[openpyxl.Workbook], object]) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(_excel(ROWS)))
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _with_part(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook with a part that is changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as parts, zipfile.ZipFile(out, "w") as changed:
        for part in parts.namelist():
            given = parts.read(part)
            changed.writestr(part, change(given) if part == name else given)
    return out.getvalue()


def test_a_sheet_that_is_a_chart_is_passed_over() -> None:
    content = _workbook(lambda book: book.create_chartsheet("Диаграмма", 0))
    assert len(read(io.BytesIO(content), "label", lambda _: None).rows.labels) == len(ROWS)
    with pytest.raises(TableRefused, match=stating("no sheet 'Диаграмма'", "it has 'Sheet1'")):
        read(io.BytesIO(content), "label", lambda _: None, Options(sheet="Диаграмма"))


def test_a_sheet_that_tells_a_wrong_size_is_read_whole() -> None:
    content = _with_part(
        _excel(ROWS),
        "xl/worksheets/sheet1.xml",
        lambda part: re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', part),
    )
    assert len(read(io.BytesIO(content), "label", lambda _: None).rows.labels) == len(ROWS)


def test_rows_of_blanks_alone_are_empty() -> None:
    content = _workbook(lambda book: book.worksheets[0].cell(len(ROWS) + 9, 1, "  "))
    contents = read(io.BytesIO(content), "label", lambda _: None)
    assert (len(contents.rows.labels), contents.faults) == (len(ROWS), [])


def test_a_sheet_that_breaks_off_is_refused() -> None:
    content = _with_part(_excel(ROWS), "xl/worksheets/sheet1.xml", lambda part: part[:-900])
    with pytest.raises(TableRefused, match=stating("Excel", "damaged")):
        read(io.BytesIO(content), "label", lambda _: None)


def test_the_decimal_sign_holds_for_text_in_a_sheet() -> None:
    """One cell with a point shows that commas are not decimals: only the option says otherwise."""
    out = io.BytesIO()
    accuracies = ["94.5", *["94,5"] * (len(ROWS) - 1)]
    pd.DataFrame(ROWS).assign(recognition_accuracy=accuracies).to_excel(out, index=False)
    assert len(read(out, "label", lambda _: None).faults) == len(ROWS) - 1
    assert read(out, "label", lambda _: None, Options(decimal=",")).faults == []


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(direction=frame["direction"].astype("Int8")),
        lambda frame: frame.astype({"camera_type": "category", "regno_recognize": "category"}),
        lambda frame: frame.assign(
            recognition_accuracy=[Decimal("94.50")] * len(frame),
            regno_recognize=frame["regno_recognize"].str.encode("utf-8"),
        ),
        lambda frame: frame.assign(
            time_check=pd.to_datetime(frame["time_check"]).dt.tz_localize("Europe/Moscow")
        ),
    ],
    ids=["nullable", "dictionaries", "decimals and bytes", "zone"],
)
def test_types_of_parquet_are_read_as_what_they_hold(
    change: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    out = io.BytesIO()
    change(pd.DataFrame(ROWS)).to_parquet(out)
    contents = read(out, "label", lambda _: None)
    assert contents.faults == []
    wanted = read(io.BytesIO(_csv()), "label", lambda _: None).rows
    pd.testing.assert_frame_equal(contents.rows.table, wanted.table, check_exact=True)
    assert contents.rows.times.tolist() == wanted.times.tolist()


@pytest.mark.parametrize(
    ("cell", "kind"), [([[1.0]], "list<.*list"), ({"a": 1}, "struct"), (["x"], "list<.*string")]
)
def test_columns_of_other_types_are_refused_by_name(cell: object, kind: str) -> None:
    out = io.BytesIO()
    pd.DataFrame(ROWS).assign(afts_regno_ai_char_scores=pd.Series([cell] * len(ROWS))).to_parquet(
        out
    )
    with pytest.raises(TableRefused, match=f"afts_regno_ai_char_scores holds .* type {kind}"):
        read(out, "label", lambda _: None)


@pytest.mark.parametrize("form", ["parquet", "excel", "json"])
def test_cells_of_truth_values_are_named(form: str) -> None:
    frame = pd.DataFrame(ROWS[:2]).assign(direction=[True, False])
    out = io.BytesIO()
    if form == "parquet":
        frame.to_parquet(out)
    elif form == "excel":
        frame.to_excel(out, index=False)
    else:
        frame.to_json(out, orient="records", lines=True)
    out.seek(0)
    reasons = [fault.reason for fault in read(out, "label", lambda _: None).faults]
    assert reasons == ["direction: must be an integer, not true or false"] * 2


def test_empty_rows_are_counted_and_lines_stay_those_of_the_file() -> None:
    header, first, *rest = _with_empty_rows().splitlines(keepends=True)
    bad = rest[0].replace(b";94.5;", b";x;")
    contents = read(
        io.BytesIO(b"".join([b"title\n", header, first, bad, *rest])), "label", lambda _: None
    )
    assert contents.empty == 3
    assert [fault.where for fault in contents.faults] == ["line 4"]


def test_lines_are_those_of_the_file_behind_a_header_of_many(tmp_path: Path) -> None:
    text = _csv(quoting=csv.QUOTE_ALL).replace(b"camera_class", b"camera\nclass")
    (tmp_path / "rows").write_bytes(text.replace(b'"94.5"', b'"x"', 1))
    faults = read(tmp_path / "rows", "label", lambda _: None).faults
    assert faults == [("line 3", "recognition_accuracy: must be a number, not other text")]


def test_a_quote_that_a_name_begins_with_takes_no_rows() -> None:
    header, rows = _csv(";").split(b"\n", 1)
    text = b"".join((header, b';"note\n', rows.replace(b"\n", b";\n")))
    contents = read(io.BytesIO(text), "label", lambda _: None)
    assert (len(contents.rows.labels), contents.faults) == (len(ROWS), [])


def test_faults_name_the_rows_of_a_sheet_and_the_lines_of_json() -> None:
    rows = [*map(dict, ROWS)]
    rows[4]["direction"] = 7
    faults = read(io.BytesIO(_excel(rows)), "label", lambda _: None).faults
    assert faults == [("row 6", "direction: must be <= 1")]
    lines = _json_lines().splitlines()
    lines[2:3] = [b"", b"[1]", b'{"label": 1}', b'{"label": NaN}']
    faults = read(io.BytesIO(b"\n".join(lines)), "label", lambda _: None).faults
    assert faults == [
        ("line 4", "the row is not a JSON object"),
        ("line 5", "regno_recognize: is missing"),
        ("line 6", "the row holds NaN or Infinity, which JSON does not have: write null"),
    ]


def test_one_line_in_another_encoding_does_not_change_that_of_the_file() -> None:
    lines = _csv().splitlines()
    lines[5] = lines[5].decode().encode("cp1251")
    contents = read(io.BytesIO(b"\n".join(lines)), "label", lambda _: None)
    assert contents.format.encoding == "utf-8"
    assert [fault.where for fault in contents.faults] == ["line 6"]


def test_a_small_workbook_with_too_much_text_is_refused_unread() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(257 << 20))
    assert out.tell() < 2 << 20
    with pytest.raises(TableRefused, match="256 MiB"):
        read(out, "label", lambda _: None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_characters_of_unknown_order_are_refused(encoding: str) -> None:
    content = _csv(encoding=f"{encoding}-le")
    with pytest.raises(TableRefused, match=f"{encoding}-le or {encoding}-be"):
        read(io.BytesIO(content), "label", lambda _: None, Options(encoding=encoding))
    named = Options(encoding=f"{encoding}-le")
    assert len(read(io.BytesIO(content), "label", lambda _: None, named).rows.table) == len(ROWS)


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


@pytest.mark.parametrize(
    "option",
    [
        *(("--sep", "#"), ("--decimal", ";"), ("--encoding", "utf-9"), ("--encoding", "hex")),
        *(("--encoding", "idna"), ("--encoding", "undefined"), ("--encoding", "utf\0")),
    ],
)
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
