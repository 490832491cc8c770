"""A file of rows in any form: its columns, and its rows in parcels of some thousand."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.parquet

from model.tables.blocks import Block, blocks, read_header
from model.tables.columns import places
from model.tables.errors import TableRefused
from model.tables.format import SNIFFED, Format, Options
from model.tables.source import Source, open_source

NO_EXCEL: Final = "it looks like a ZIP archive, and no Excel table is in it: unpack it first"
_DAMAGED: Final = "its Parquet data are damaged"
_BOM: Final = b"\xef\xbb\xbf"


class Batch(NamedTuple):
    """Rows of a Parquet file; `line` (from 1) is the number of the first."""

    rows: pa.RecordBatch
    line: int


class Values(NamedTuple):
    """Rows of an Excel sheet as Python's values; `line` is the sheet's number of the first."""

    rows: Sequence[Sequence[Any]]
    line: int


Parcel: TypeAlias = Block | Batch | Values


class Layout(NamedTuple):
    """Which columns a file has, and the places of those that are wanted.

    `header` is the first line of CSV with its end, b"" of other forms.
    """

    format: Format
    names: Sequence[str]
    wanted: Sequence[str]
    places: Sequence[int]
    header: bytes = b""


@dataclass
class Table:
    """An open file of rows. `schema` is that of Parquet, None of other forms."""

    source: Source
    layout: Layout
    schema: pa.Schema | None
    _rows: Any

    def parcels(self, rows: int) -> Iterator[Parcel]:
        """All rows in their order, so many or a few more at a time; there is always a parcel.

        Raises TableRefused.
        """
        if self.layout.format.kind == "CSV":
            return blocks(self._rows, rows, self.layout.format.sep)
        parcels: Iterator[Parcel] = _PARCELS[self.layout.format.kind](self._rows, rows)
        return parcels


@contextmanager
def open_table(
    path: Path | BinaryIO, wanted: Sequence[str], options: Options = SNIFFED
) -> Iterator[Table]:
    """Open a file; `-` is standard input.

    Raises OSError, and TableRefused if it is no table with the wanted columns.
    """
    with open_source(path, options, wanted) as source:
        header, names, schema, rows = _OPENERS[source.format.kind](source)
        layout = Layout(source.format, names, wanted, places(names, wanted), header)
        yield Table(source, layout, schema, rows)


_Opened: TypeAlias = tuple[bytes, list[str], pa.Schema | None, Any]


class CsvHeader(NamedTuple):
    """The first line of CSV, with its end, and the names in it."""

    line: bytes
    names: list[str]


def csv_header(source: Source) -> CsvHeader:
    """The header, which is read from the stream. Raises TableRefused."""
    line = read_header(source.stream)
    try:
        text = line.decode("utf-8-sig")
        return CsvHeader(line, next(csv.reader([text], delimiter=source.format.sep)))
    except (UnicodeError, csv.Error, StopIteration) as error:
        raise TableRefused("its first line is no CSV header in UTF-8") from error


def _open_csv(source: Source) -> _Opened:
    header = csv_header(source)
    return header.line, header.names, None, source.stream


def _open_json_lines(source: Source) -> _Opened:
    names: dict[str, None] = {}
    for line in source.sample.removeprefix(_BOM).splitlines():
        try:
            names |= dict.fromkeys(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
        except (msgspec.DecodeError, UnicodeError):
            continue  # a bad row, or the last one, which the sample cuts
    if not names:
        raise TableRefused("its first line is no JSON object")
    return b"", list(names), None, source.stream


def _open_parquet(source: Source) -> _Opened:
    try:
        file = pyarrow.parquet.ParquetFile(source.stream)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableRefused(_DAMAGED) from error
    return b"", file.schema_arrow.names, file.schema_arrow, file


def _open_excel(source: Source) -> _Opened:
    names, rows = excel_rows(source.stream)
    return b"", names, None, rows


def excel_rows(file: BinaryIO) -> tuple[list[str], Iterator[tuple[int, Sequence[Any]]]]:
    """The header of the first sheet, and the rows that follow with their numbers.

    Raises TableRefused.
    """
    import openpyxl  # noqa: PLC0415 - what serves reads no Excel, and should not keep it in memory

    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        rows = enumerate(book.worksheets[0].iter_rows(values_only=True), start=1)
    except Exception as error:  # openpyxl and zipfile raise many kinds
        raise TableRefused(NO_EXCEL) from error
    for _, row in rows:
        if any(value is not None for value in row):
            return ["" if value is None else str(value) for value in row], rows
    raise TableRefused("its first sheet is empty")


def _lines(stream: BinaryIO, count: int) -> Iterator[Parcel]:
    at = 1
    while True:
        lines = list(islice(stream, count))
        if at == 1 and lines:
            lines[0] = lines[0].removeprefix(_BOM)
        if lines or at == 1:
            yield Block(b"".join(lines), at)
        if not lines:
            return
        at += len(lines)


def _batches(file: Any, count: int) -> Iterator[Parcel]:
    at = 1
    try:
        for batch in file.iter_batches(count):
            yield Batch(batch, at)
            at += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableRefused(_DAMAGED) from error
    if at == 1:
        yield Batch(pa.RecordBatch.from_pylist([], file.schema_arrow), at)


def _values(rows: Iterator[tuple[int, Sequence[Any]]], count: int) -> Iterator[Parcel]:
    first = True
    while True:
        numbered = list(islice(rows, count))
        if numbered or first:
            first = False
            yield Values([row for _, row in numbered], numbered[0][0] if numbered else 2)
        if not numbered:
            return


_OPENERS: Final = {
    "CSV": _open_csv,
    "JSON lines": _open_json_lines,
    "Parquet": _open_parquet,
    "Excel": _open_excel,
}
_PARCELS: Final[Any] = {
    "JSON lines": _lines,
    "Parquet": _batches,
    "Excel": _values,
}
