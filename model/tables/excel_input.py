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

    `title` is "" for the first one.
    """

    names: list[str]
    rows: Iterator[Numbered]
    title: str = ""


def read(file: BinaryIO, wanted: Sequence[str], title: str) -> Sheet:
    """The sheet of this title, or, if it is "", the first one that has all wanted columns.

    The header is found as in CSV. Raises TableRefused, also while rows are read.
    """
    sheets = {each.title: each for each in _book(file).worksheets}
    shown = {each: repr(printable(redact(each))) for each in sheets}
    listed = ", ".join(shown.values())
    if not sheets or (title and title not in sheets):
        raise TableRefused(f"it has no sheet {title!r}; it has {listed or 'none with cells'}")
    first = next(iter(sheets))
    tried = []
    for each in [title] if title else sheets:
        sheet = _sheet(sheets[each], wanted)
        if len(matched(sheet.names, wanted)) == len(wanted):
            return sheet._replace(title="" if each == first else shown[each])
        tried.append(sheet.names)
    try:
        _refuse(tried[0], wanted, title)
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
    return Sheet(headers[at] if headers else [], chain(first[at + 1 :], rows))


def _refuse(names: Sequence[str], wanted: Sequence[str], title: str) -> NoReturn:
    if names:
        places(names, wanted)
    raise TableRefused(f"its {'' if title else 'first '}sheet is empty")


class _Reader(ExcelReader):  # type: ignore[misc]  # it has no types
    """Reads sheets of cells alone: openpyxl fails at one of a chart when it reads row by row."""

    def read_chartsheet(self, sheet: Any, rel: Any) -> None:
        """Pass over a sheet that is a chart."""


def _book(file: BinaryIO) -> Workbook:
    _check_texts(file)
    # It warns of styles and rules for cells that it does not know, which no row needs.
    warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
    try:
        reader = _Reader(file, read_only=True, data_only=True, keep_links=False)
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
