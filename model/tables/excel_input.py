"""The rows of a sheet in Excel's .xlsx. Nothing but the reader of such a file imports this."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import chain, dropwhile, islice
from typing import Any, BinaryIO, Final, TypeAlias
from zipfile import BadZipFile, ZipFile

from openpyxl.reader.excel import ExcelReader
from openpyxl.workbook import Workbook

from model.names import printable
from model.redaction import redact
from model.tables.columns import matched, places
from model.tables.errors import TableRefused
from model.tables.format import HEADER_LINES

_NO_EXCEL: Final = "it looks like a ZIP archive, and no Excel table is in it: unpack it first"
_DAMAGED: Final = "its Excel data are damaged"
_CUT: Final = "it looks like an Excel file or a ZIP archive that is damaged or incomplete"
# What other programs put into an archive, and which it is.
_OTHERS: Final = {
    "xl/workbook.bin": "a binary Excel file (.xlsb)",
    "content.xml": "an OpenDocument file",
    "word/document.xml": "a Word document",
}

Numbered: TypeAlias = tuple[int, Sequence[Any]]


def read(file: BinaryIO, wanted: Sequence[str], sheet: str) -> tuple[list[str], Iterator[Numbered]]:
    """The header of a sheet, "" for the first one, and the rows that follow with their numbers.

    The header is found as in CSV. Raises TableRefused, also while rows are read.
    """
    sheets = {each.title: each for each in _book(file).worksheets}
    listed = ", ".join(repr(printable(redact(name))) for name in sheets)
    if not sheets or (sheet and sheet not in sheets):
        raise TableRefused(f"it has no sheet {sheet!r}; it has {listed or 'none with cells'}")
    rows = dropwhile(lambda row: _is_empty(row[1]), _rows(sheets[sheet or next(iter(sheets))]))
    first = list(islice(rows, HEADER_LINES))
    headers = [["" if cell is None else str(cell) for cell in row] for _, row in first]
    whole = (at for at, names in enumerate(headers) if len(matched(names, wanted)) == len(wanted))
    at = next(whole, 0)
    names = headers[at] if headers else []
    try:
        _check(names, wanted, sheet)
    except TableRefused as error:
        if len(sheets) > 1:
            first = "" if sheet else ", whose first one is read"
            raise TableRefused(
                f"{error} (its sheets are {listed}{first})", "--sheet names another"
            ) from error
        raise
    return names, chain(first[at + 1 :], rows)


def _check(names: Sequence[str], wanted: Sequence[str], sheet: str) -> None:
    if not names:
        raise TableRefused(f"its {'' if sheet else 'first '}sheet is empty")
    places(names, wanted)


class _Reader(ExcelReader):
    """Reads sheets of cells alone: openpyxl fails at one of a chart when it reads row by row."""

    def read_chartsheet(self, sheet: Any, rel: Any) -> None:
        """Pass over a sheet that is a chart."""


def _book(file: BinaryIO) -> Workbook:
    # It warns of styles and rules for cells that it does not know, which no row needs.
    warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
    try:
        reader = _Reader(file, read_only=True, data_only=True, keep_links=False)
        reader.read()
    except Exception as error:  # openpyxl and zipfile raise many kinds
        raise TableRefused(_other(file)) from error
    return reader.wb


def _other(file: BinaryIO) -> str:
    """What a file seems to be that is no .xlsx."""
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


def _is_empty(row: Sequence[Any]) -> bool:
    return all(value is None for value in row)
