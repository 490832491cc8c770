"""The rows of a sheet in Excel's .xlsx. Nothing but the reader of such a file imports this."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, dropwhile, islice
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn, TypeAlias
from zipfile import BadZipFile, ZipFile

from openpyxl.reader.excel import ExcelReader
from openpyxl.workbook import Workbook

from model.names import printable
from model.redaction import redact
from model.tables.columns import matched, places
from model.tables.errors import TableRefused
from model.tables.format import HEADER_LINES
from model.tables.table import is_filled

_NO_EXCEL: Final = "it looks like a ZIP archive, and no Excel table is in it: unpack it first"
_DAMAGED: Final = "its Excel data are damaged"
_CUT: Final = "it looks like an Excel file or a ZIP archive that is damaged or incomplete"
_UNCOMPUTED: Final = (
    "formulas without values, which the program that saved it has not computed: "
    "open it in Excel and save it there"
)
_VISIBLE: Final = "visible"
# Rows by which a column is found to have no values.
_SAMPLE_ROWS: Final = 100
# Where Excel keeps the texts of all cells, and how much of them there may be: some 600,000 rows.
_TEXTS: Final = "xl/sharedStrings.xml"
_MOST_TEXT: Final = 256 << 20
# What other programs put into an archive, and which it is.
_OTHERS: Final = {
    "xl/workbook.bin": "a binary Excel file (.xlsb)",
    "content.xml": "an OpenDocument file",
    "word/document.xml": "a Word document",
}

Numbered: TypeAlias = tuple[int, Sequence[Any]]


class Sheet(NamedTuple):
    """A sheet of a workbook: the names in its header, and the rows that follow with their numbers.

    `title` is "" for the first one; `sample` are the first rows.
    """

    names: list[str]
    rows: Iterator[Numbered]
    title: str = ""
    sample: Sequence[Numbered] = ()


def read(file: BinaryIO, wanted: Sequence[str], title: str) -> Sheet:
    """The sheet of this title, or, if it is "", the first one that has all wanted columns.

    A hidden one is read only if it is named, or none is visible. The header is found as in CSV.
    Raises TableRefused, also while rows are read.
    """
    every = _book(file).worksheets
    visible = [each for each in every if each.sheet_state == _VISIBLE]
    sheets = {each.title: each for each in (every if title else visible or every)}
    shown = {each: repr(printable(redact(each))) for each in sheets}
    listed = ", ".join(shown.values())
    if not sheets or (title and title not in sheets):
        raise TableRefused(f"it has no sheet {title!r}; it has {listed or 'none with cells'}")
    first = next(iter(sheets))
    tried = []
    for each in [title] if title else sheets:
        sheet = _sheet(sheets[each], wanted)
        if len(matched(sheet.names, wanted)) == len(wanted):
            _check_values(file, each, sheet, wanted)
            return sheet._replace(title="" if each == first else shown[each])
        tried.append(sheet.names)
    try:
        if tried[0]:
            places(tried[0], wanted)
        _refuse_empty(file, title, first)
    except TableRefused as error:
        if len(sheets) > 1:
            others = "" if title else ", and none has all columns"
            reason = f"{error} (its sheets are {listed}{others})"
            raise TableRefused(reason, "--sheet names one") from error
        raise


def _sheet(sheet: Any, wanted: Sequence[str]) -> Sheet:
    rows = dropwhile(lambda row: not is_filled(row[1]), _rows(sheet))
    first = list(islice(rows, HEADER_LINES))
    headers = [["" if cell is None else str(cell) for cell in row] for _, row in first]
    whole = (at for at, names in enumerate(headers) if len(matched(names, wanted)) == len(wanted))
    at = next(whole, 0)
    sample = [*first[at + 1 :], *islice(rows, _SAMPLE_ROWS)]
    return Sheet(headers[at] if headers else [], chain(sample, rows), sample=sample)


def _check_values(file: BinaryIO, title: str, sheet: Sheet, wanted: Sequence[str]) -> None:
    """Refuse a wanted column whose first cells have no values, but formulas for them."""
    for name, at in zip(wanted, places(sheet.names, wanted), strict=True):
        cells = [row[at] if at < len(row) else None for _, row in sheet.sample]
        if cells and not is_filled(cells) and _has_formulas(file, title, at):
            raise TableRefused(f"{name} holds {_UNCOMPUTED}")


def _has_formulas(file: BinaryIO, title: str, at: int | None = None) -> bool:
    """Whether the first rows of a sheet have a formula, in the column at a place or in any."""
    rows = islice(_rows(_book(file, values=False)[title]), HEADER_LINES + _SAMPLE_ROWS)
    columns = slice(at, None if at is None else at + 1)
    return any(str(cell).startswith("=") for _, row in rows for cell in row[columns])


def _refuse_empty(file: BinaryIO, title: str, first: str) -> NoReturn:
    sheet = "its sheet" if title else "its first sheet"
    is_computed = not _has_formulas(file, title or first)
    raise TableRefused(f"{sheet} is empty" if is_computed else f"{sheet} holds {_UNCOMPUTED}")


class _Reader(ExcelReader):  # type: ignore[misc]  # it has no types
    """Reads sheets of cells alone: openpyxl fails at one of a chart when it reads row by row."""

    def read_chartsheet(self, sheet: Any, rel: Any) -> None:
        """Pass over a sheet that is a chart."""


def _book(file: BinaryIO, *, values: bool = True) -> Workbook:
    """The workbook with the values that were computed for formulas, or with the formulas."""
    _check_texts(file)
    # It warns of styles and rules for cells that it does not know, which no row needs.
    warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
    try:
        reader = _Reader(file, read_only=True, data_only=values, keep_links=False)
        reader.read()
    except Exception as error:  # openpyxl and zipfile raise many kinds
        raise TableRefused(_other(file)) from error
    return reader.wb


def _check_texts(file: BinaryIO) -> None:
    """Refuse a file whose texts, which are read at once, would take more memory than there may be.

    A small archive may hold gigabytes of them.
    """
    with suppress(BadZipFile, KeyError), ZipFile(file) as archive:
        if archive.getinfo(_TEXTS).file_size > _MOST_TEXT:
            raise TableRefused(
                f"its texts take more than {_MOST_TEXT >> 20} MiB: save it as CSV or Parquet"
            )


def _other(file: BinaryIO) -> str:
    """What a file seems to be that is not an .xlsx."""
    try:
        names = set(ZipFile(file).namelist())
    except BadZipFile:
        return _CUT
    found = next((what for part, what in _OTHERS.items() if part in names), "")
    return f"it looks like {found}: save it as .xlsx or CSV" if found else _NO_EXCEL


def _rows(sheet: Any) -> Iterator[Numbered]:
    # What a sheet says of its size may be wrong; openpyxl would leave out all beyond it.
    sheet.reset_dimensions()
    try:
        yield from enumerate(sheet.iter_rows(values_only=True), start=1)
    except Exception as error:
        raise TableRefused(_DAMAGED) from error
