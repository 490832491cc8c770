"""Tables written in any form: the rows as they were, and new columns behind them.

Rows of CSV and JSON lines that stay in their form keep each byte. Otherwise their cells are
written: those of CSV and JSON lines as text, those of Parquet and Excel as what they are.
"""

import codecs
import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, repeat
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from model.tables.cells import Cells, cells_of
from model.tables.errors import TableRefused
from model.tables.format import Format
from model.tables.options import FORMATS, Kind
from model.tables.table import Batch, Layout, Parcel, Values
from model.tables.writing import Writing

# An array of numbers, or a sequence of texts, numbers and None.
Column: TypeAlias = Any

_SUFFIXES: Final[Mapping[str, Kind]] = {
    **{f".{name}": kind for name, kind in FORMATS.items()},
    ".tsv": "CSV",
    ".ndjson": "JSON lines",
    ".pq": "Parquet",
}
# Of spreadsheets and archives that are not written: other programs would take CSV there for damage.
_FOREIGN: Final = frozenset((".xls", ".xlsm", ".xlsb", ".ods", ".zip", ".bz2", ".xz", ".zst"))
_TEXTS: Final = frozenset(("CSV", "JSON lines"))
_QUOTED: Final = re.compile(rb'[\r\n"]')


def unwritable(path: Path) -> str:
    """Why nothing is written to a file of this name unless its form is said, "" if it can be."""
    if path.suffix.lower() not in _FOREIGN:
        return ""
    return f"{path}: no {path.suffix.lower()} is written: {', '.join(_SUFFIXES)} are, and .gz"


def output_format(path: Path, given: Format, wanted: str = "") -> Format:
    """The form of an output: as wanted (of `FORMATS`), else by the suffix, else as the input is.

    CSV is written as the input is if that is CSV, too; else with commas, in UTF-8.
    """
    packed = path.suffix.lower() == ".gz"
    suffix = (Path(path.stem) if packed else path).suffix.lower()
    kind = FORMATS[wanted] if wanted else _SUFFIXES.get(suffix, given.kind)
    if kind not in _TEXTS:
        return Format(kind)
    if kind == given.kind:
        found = given._replace(gzip=packed)
    else:
        found = Format(kind, "," if kind == "CSV" else "", "utf-8", gzip=packed)
    return found._replace(sep="\t") if suffix == ".tsv" else found


class Renderer:
    """Makes the output of parcels. Workers have one each: it is pickled."""

    def __init__(self, layout: Layout, out: Format, added: Sequence[str]) -> None:
        """`added` are the names of the new columns, the last of which is for errors.

        Raises TableRefused if the file has one of them.
        """
        if taken := [name for name in added if name in layout.names]:
            raise TableRefused(f"it already has the output's columns: {', '.join(taken)}")
        self._layout = layout
        self._out = out
        self.added = added
        crlf = layout.header.endswith(b"\r\n") and out.kind == "CSV"
        self._end = b"\r\n" if crlf else b"\n"

    @property
    def header(self) -> bytes:
        """The first line of CSV, b"" of other forms."""
        if self._out.kind != "CSV":
            return b""
        if self._keeps_bytes:
            old = self._layout.header.removesuffix(b"\n").rstrip(b"\r")
        else:
            old = self._sep.join(self._quoted(name.encode()) for name in self._layout.names)
        return self._sep.join((old, *(name.encode() for name in self.added))) + self._end

    @property
    def names(self) -> list[str]:
        """The names of all columns; in Parquet and JSON lines repeated ones get a number."""
        names = [*self._layout.names, *self.added]
        return _numbered(names) if self._out.kind in {"Parquet", "JSON lines"} else names

    def render(self, parcel: Parcel, cells: Cells, new: Mapping[str, Column]) -> Any:
        """The output of a parcel: bytes or a buffer of them, a RecordBatch, or rows of values.

        `new` are the new columns; None and NaN stand for nothing.
        """
        if self._out.kind == "CSV":
            return self._csv(parcel, cells, new)
        if self._out.kind == "JSON lines":
            return self._json_lines(parcel, cells, new)
        if self._out.kind == "Parquet":
            return self._batch(parcel, new)
        return self._values(parcel, new)

    @property
    def _keeps_bytes(self) -> bool:
        given = self._layout.format
        return given.kind == self._out.kind and given.sep == self._out.sep

    @property
    def _sep(self) -> bytes:
        return self._out.sep.encode()

    def _csv(self, parcel: Parcel, cells: Cells, new: Mapping[str, Column]) -> pa.Buffer:
        old = [cells.rows] if self._keeps_bytes else self._quoted_columns(parcel)
        if not len(old[0]):
            return pa.py_buffer(b"")
        columns = [*old, *(self._new(column) for column in new.values())]
        ended = pc.binary_join_element_wise(columns.pop(), _scalar(self._end), _scalar(b""))
        # The rows lie one behind the other in one buffer, which is written as it is.
        rows = pc.binary_join_element_wise(*columns, ended, _scalar(self._sep))
        return rows.buffers()[2]

    def _quoted_columns(self, parcel: Parcel) -> list[pa.Array]:
        return [_array(map(self._quoted, column)) for column in self._old(parcel)]

    def _new(self, column: Column) -> pa.Array:
        """A new column as the text of its cells."""
        if isinstance(column, np.ndarray):
            numbers = _number_texts(column)
            if self._out.decimal != ",":
                return numbers
            cells = numbers.to_pylist()
        else:
            if column.count("") == len(column):  # nearly always, where it is that of errors
                return pa.repeat(_scalar(b""), len(column))
            cells = [_text(value) for value in column]
        if self._out.decimal == "," and _is_of_numbers(column):
            cells = [cell.replace(b".", b",") for cell in cells]
        return _array(map(self._quoted, cells))

    def _quoted(self, cell: bytes) -> bytes:
        if self._sep in cell or _QUOTED.search(cell):
            return b'"' + cell.replace(b'"', b'""') + b'"'
        return cell

    def _json_lines(self, parcel: Parcel, cells: Cells, new: Mapping[str, Column]) -> bytes:
        added = _added(new)
        lines = []
        if self._keeps_bytes:
            for row, values in zip(cells.rows, added, strict=True):
                tail = msgspec.json.encode(dict(zip(self.added, values, strict=True)))
                lines.append(_joined(row, tail))
        else:
            old = zip(*self._old_values(parcel), strict=True)
            for before, values in zip(old, added, strict=bool(new)):
                whole = dict(zip(self.names, (*before, *values), strict=True))
                lines.append(msgspec.json.encode(whole, enc_hook=str))
        return b"".join(line + b"\n" for line in lines)

    def _batch(self, parcel: Parcel, new: Mapping[str, Column]) -> pa.RecordBatch:
        if isinstance(parcel, Batch):
            old = parcel.rows.columns
        else:
            old = [_lenient(column) for column in self._old(parcel)]
        return pa.RecordBatch.from_arrays([*old, *map(_typed, new.values())], self.names)

    def _values(self, parcel: Parcel, new: Mapping[str, Column]) -> list[list[Any]]:
        old = zip(*self._old_values(parcel), strict=True)
        added = _added(new)
        return [[*before, *values] for before, values in zip(old, added, strict=bool(new))]

    def _old(self, parcel: Parcel) -> list[list[bytes]]:
        """All columns of the file as text."""
        layout = self._layout._replace(
            wanted=self._layout.names,
            places=range(len(self._layout.names)),
            format=self._layout.format.written(Writing()),
        )
        columns = cells_of(parcel, layout, lenient=True).columns
        return [column.cast(pa.binary()).to_pylist() for column in columns]

    def _old_values(self, parcel: Parcel) -> list[list[Any]]:
        """All columns of the file as values."""
        if isinstance(parcel, Batch):
            return [column.to_pylist() for column in parcel.rows.columns]
        if isinstance(parcel, Values):
            width = len(self._layout.names)
            padded = [[*row[:width], *[None] * (width - len(row))] for _, row in parcel.filled()]
            return [list(column) for column in zip(*padded, strict=True)] or [[]] * width
        return [[cell.decode(errors="replace") for cell in c] for c in self._old(parcel)]


def _numbered(names: Sequence[str]) -> list[str]:
    """The same names; those that occurred before with a number that makes them new ones."""
    used: set[str] = set()
    made = []
    for name in names:
        others = (f"{name}_{number}" for number in count(2))
        free = (each for each in others if each not in used and each not in names)
        made.append(next(free) if name in used else name)
        used.add(made[-1])
    return made


def _added(new: Mapping[str, Column]) -> Iterator[tuple[Any, ...]]:
    """The new cells of each row; without new columns, of any number of rows."""
    if not new:
        return repeat(())
    return zip(*(map(_value, column) for column in new.values()), strict=True)


def _array(cells: Iterable[bytes]) -> pa.Array:
    return pa.array(cells, pa.large_binary())


def _scalar(text: bytes) -> pa.Scalar:
    return pa.scalar(text, pa.large_binary())


def _number_texts(column: Any) -> pa.Array:
    """The shortest text of each number that gives the same double again, as in replies over HTTP.

    There is none for NaN.
    """
    # One call for all numbers, several times as quick as repr. JSON has null for NaN.
    joined = msgspec.json.encode(column.tolist())[1:-1]
    cells = pc.split_pattern(_array([joined]), ",").flatten()
    return pc.if_else(pc.equal(cells, _scalar(b"null")), _scalar(b""), cells)


def _typed(column: Column) -> pa.Array:
    """A new column as numbers or texts, null where there is nothing."""
    if isinstance(column, np.ndarray):
        return pa.array(column, pa.float64(), mask=~np.isfinite(column))
    kind = pa.float64() if _is_of_numbers(column) else pa.string()
    return pa.array(map(_value, column), kind)


def _is_of_numbers(column: Column) -> bool:
    if isinstance(column, np.ndarray):
        return True
    first = next((value for value in column if value is not None), None)
    return isinstance(first, float | int)


def _text(value: Any) -> bytes:
    if value is None:
        return b""
    return repr(value).encode() if isinstance(value, float) else str(value).encode()


def _value(value: Any) -> Any:
    """None where there is nothing, and else a value of Python's."""
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return value


def _joined(row: bytes, tail: bytes) -> bytes:
    """An object with more members; what is not an object is left out."""
    row = row.strip()
    if not (row.startswith(b"{") and row.endswith(b"}")):
        return tail
    inner = row[1:-1].strip()
    return b"{" + inner + (b"," if inner else b"") + tail[1:]


def _lenient(column: Sequence[bytes]) -> pa.Array:
    return pa.array([cell.decode(errors="replace") for cell in column], pa.string())


class Writer(Protocol):
    """Writes what a `Renderer` made, in order. `close` writes the rest."""

    def write(self, content: Any, /) -> None:
        """Write the output of a parcel."""

    def close(self) -> None:
        """Write what is left to be written; the file stays open."""

    def abandon(self) -> None:
        """In the place of `close`: the file stays unfinished, and nothing is left beside it."""


def writer(
    file: BinaryIO,
    out: Format,
    renderer: Renderer,
    sheet: str = "scores",
    look: Callable[[], None] = lambda: None,
) -> Writer:
    """What writes an output to a file; `look` is called often while it packs a book of Excel."""
    if out.kind == "Parquet":
        return _ParquetWriter(file)
    if out.kind == "Excel":
        # openpyxl is imported only where it is needed: each process would take 0.1 s for it.
        from model.tables.excel_output import ExcelWriter  # noqa: PLC0415

        return ExcelWriter(file, renderer.names, sheet, look)
    return _TextWriter(file, out, renderer.header)


class _TextWriter:
    def __init__(self, file: BinaryIO, out: Format, header: bytes) -> None:
        self._file: Any = gzip.GzipFile(fileobj=file, mode="wb", mtime=0) if out.gzip else file
        self._packed = out.gzip
        self._encode: Callable[[Any], Any] = lambda text: text
        if out.encoding not in {"utf-8", "utf-8-sig"}:
            encoder = codecs.getincrementalencoder(out.encoding)(errors="surrogateescape")
            self._encode = lambda text: encoder.encode(str(text, "utf-8", "surrogateescape"))
        self.write(header)

    def write(self, content: Any, /) -> None:
        self._file.write(self._encode(content))

    def close(self) -> None:
        if self._packed:
            self._file.close()

    abandon = close


class _ParquetWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer: Any = None

    def write(self, content: pa.RecordBatch, /) -> None:
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._file, content.schema)
        self._writer.write_batch(content)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    abandon = close
