"""A file of rows in any form: its columns, and its rows in parcels of some thousand."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.parquet

from model.tables.blocks import Block, blocks, read_header
from model.tables.columns import matched, places
from model.tables.errors import TableRefused
from model.tables.format import Format
from model.tables.options import SNIFFED, Options
from model.tables.source import Source, open_source
from model.tables.writing import writing_of

_DAMAGED: Final = "its Parquet data are damaged"
# Rows from which it is found out how numbers and times are written.
_SAMPLE_ROWS: Final = 1000
_BOM: Final = b"\xef\xbb\xbf"


class Batch(NamedTuple):
    """Rows of a Parquet file; `line` (from 1) is the number of the first."""

    rows: pa.RecordBatch
    line: int


class Values(NamedTuple):
    """Rows of an Excel sheet as Python's values; `line` is the sheet's number of the first."""

    rows: Sequence[Sequence[Any]]
    line: int

    def filled(self) -> list[tuple[int, Sequence[Any]]]:
        """The rows that are not empty, with their numbers."""
        numbered = enumerate(self.rows, start=self.line)
        return [(line, row) for line, row in numbered if is_filled(row)]


def is_filled(row: Sequence[Any]) -> bool:
    """Whether a row of values has one that is more than blanks."""
    return any(value.strip() if isinstance(value, str) else value is not None for value in row)


Parcel: TypeAlias = Block | Batch | Values


class Layout(NamedTuple):
    """Which columns a file has, and the places of those that are wanted.

    `header` is the first row of CSV with its line end, b"" of other forms. `optional` are those
    wanted columns that a row of JSON may lack.
    """

    format: Format
    names: Sequence[str]
    wanted: Sequence[str]
    places: Sequence[int]
    header: bytes = b""
    optional: Sequence[str] = ()


@dataclass
class Table:
    """An open file of rows. `schema` is that of Parquet, None of other forms."""

    source: Source
    layout: Layout
    schema: pa.Schema | None
    _rows: Any

    @property
    def count(self) -> int:
        """The number of rows if the file says it, as Parquet does; else 0."""
        return self._rows.metadata.num_rows if self.schema is not None else 0

    def parcels(self, rows: int) -> Iterator[Parcel]:
        """All rows in their order, so many or a few more at a time; there is always a parcel.

        Raises TableRefused.
        """
        if self.layout.format.kind == "CSV":
            form = self.layout.format
            return blocks(self._rows, rows, form.sep, form.skip + form.header + 1)
        parcels: Iterator[Parcel] = _PARCELS[self.layout.format.kind](self._rows, rows)
        return parcels


@contextmanager
def open_table(
    path: Path | BinaryIO,
    wanted: Sequence[str],
    options: Options = SNIFFED,
    optional: Sequence[str] = (),
) -> Iterator[Table]:
    """Open a file; `-` is standard input. Of the `optional` columns those are wanted that it has.

    Raises OSError, and TableRefused if it is not a table with the wanted columns.
    """
    with open_source(path, options, wanted) as source:
        opened = _OPENERS[source.format.kind](source, wanted, options.sheet)
        optional = [name for name in optional if name in matched(opened.names, optional)]
        wanted = [*wanted, *optional]
        at, form = places(opened.names, wanted), source.format._replace(sheet=opened.sheet)
        form = form._replace(zone=_zone(opened.schema, at))
        if opened.sample:
            samples = opened.sample(at)
            form = form.written(writing_of(samples, options.decimal, options.dates))
        layout = Layout(form, opened.names, wanted, at, opened.header, optional)
        yield Table(source, layout, opened.schema, opened.rows)


def _zone(schema: pa.Schema | None, at: Sequence[int]) -> str:
    """The zone of the times in these columns, by whose clock they are read; "" if none has one."""
    kinds = [schema.types[place] for place in at] if schema is not None else []
    zones = (kind.tz for kind in kinds if pa.types.is_timestamp(kind) and kind.tz)
    return next(zones, "")


class _Opened(NamedTuple):
    """What is known of a file's columns, and its rows.

    `sample` gives the text in some first cells of the columns at these places; None where the
    format is known without them. `sheet` is the title of one in Excel, "" for the first.
    """

    names: list[str]
    rows: Any
    header: bytes = b""
    schema: pa.Schema | None = None
    sample: Callable[[Sequence[int]], list[list[str]]] | None = None
    sheet: str = ""


def _open_csv(source: Source, wanted: Sequence[str], sheet: str) -> _Opened:
    del wanted, sheet
    before = b"".join(source.stream.readline() for _ in range(source.format.skip))
    header = read_header(source.stream, source.format.header)
    if before.startswith(_BOM):
        header = _BOM + header
    try:
        lines = io.StringIO(header.decode("utf-8-sig"), newline="")
        names = next(csv.reader(lines, delimiter=source.format.sep))
    except (UnicodeError, csv.Error, StopIteration) as error:
        raise TableRefused("its first line is not a CSV header in UTF-8") from error
    if more := source.format.trailing:
        bare = header.rstrip(b"\r\n")
        header = bare + source.format.sep.encode() * more + header[len(bare) :]
        names += [""] * more
    return _Opened(names, source.stream, header)


def _open_json_lines(source: Source, wanted: Sequence[str], sheet: str) -> _Opened:
    del wanted, sheet
    names: dict[str, None] = {}
    rows = []
    for line in source.sample.removeprefix(_BOM).split(b"\n"):
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue  # a bad row, or the last one, which the sample cuts
        names |= dict.fromkeys(rows[-1])
    if not names:
        raise TableRefused("its first line is not a JSON object: write one object to a line")
    listed = list(names)

    def sample(at: Sequence[int]) -> list[list[str]]:
        return [_texts(row.get(listed[place]) for row in rows[:_SAMPLE_ROWS]) for place in at]

    return _Opened(listed, source.stream, sample=sample)


def _open_parquet(source: Source, wanted: Sequence[str], sheet: str) -> _Opened:
    del wanted, sheet
    try:
        file = pyarrow.parquet.ParquetFile(source.stream)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableRefused(_DAMAGED) from error

    def sample(at: Sequence[int]) -> list[list[str]]:
        kinds = file.schema_arrow.types
        names = [listed[place] for place in at if _is_text(kinds[place])]
        try:
            rows = next(file.iter_batches(_SAMPLE_ROWS, columns=names), None)
        except (pa.ArrowInvalid, OSError) as error:
            raise TableRefused(_DAMAGED) from error
        return [_texts(column.to_pylist()) for column in rows.columns] if rows else []

    listed = file.schema_arrow.names
    return _Opened(listed, file, schema=file.schema_arrow, sample=sample)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return kind in {pa.string(), pa.large_string(), pa.string_view()}


def _open_excel(source: Source, wanted: Sequence[str], sheet: str) -> _Opened:
    # What serves reads no Excel, and should not keep openpyxl in memory.
    from model.tables import excel_input  # noqa: PLC0415

    found = excel_input.read(source.stream, wanted, sheet)
    first = list(islice(found.rows, _SAMPLE_ROWS))

    def sample(at: Sequence[int]) -> list[list[str]]:
        return [_texts(row[place] for _, row in first if place < len(row)) for place in at]

    return _Opened(found.names, chain(first, found.rows), sample=sample, sheet=found.title)


def _texts(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


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
