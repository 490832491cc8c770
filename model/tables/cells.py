"""The wanted cells of a parcel of rows as text, whatever form the file has.

The text is that of a CSV file with the same contents: so a row means the same in every form.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import InvalidRequest
from model.names import printable
from model.tables.blocks import Block
from model.tables.csv_cells import read_cells
from model.tables.errors import TableRefused
from model.tables.table import Batch, Layout, Parcel, Values
from model.tables.writing import Writing, as_text, usual

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
# From here on Arrow writes whole numbers with an exponent, and from there on not all are exact.
_SHORT: Final = 1e10
_EXACT: Final = 2.0**53
_NOT_UTF8: Final = "must be UTF-8 text"
_USUAL: Final = Writing()
_NOT_A_ROW: Final = "the row is not a JSON object"
_NO_JSON: Final = "the row holds NaN or Infinity, which JSON does not have: write null"
_NAN: Final = re.compile(rb"[:,\[]\s*-?(?:NaN|Infinity)\b")


class Cells(NamedTuple):
    """`n` rows: `columns` are the wanted ones, of `n` cells each, as pyarrow arrays of text.

    A column is one of bytes where a cell is not UTF-8.

    `faults` says of rows that can't be read why; their cells are empty. `lines` are the lines
    or row numbers (from 1) of the file at which rows begin. `rows` are the rows of CSV and JSON
    lines as they were, without their ends, where they can't be read with as many cells as the
    header; none of other forms. `empty` counts the rows of CSV that were left out since all their
    cells are empty.
    """

    rows: Sequence[bytes]
    columns: Sequence[pa.Array]
    faults: dict[int, str]
    lines: Sequence[int]
    empty: int = 0


def cells_of(parcel: Parcel, layout: Layout, *, lenient: bool = False) -> Cells:
    """The wanted cells of a parcel; `lenient`: what a row of JSON lacks is empty, and no fault.

    Raises TableRefused when a quoted cell does not end, or a column holds no text or numbers.
    """
    cells = _as_written(parcel, layout, lenient)
    writing = layout.format.writing
    if writing == _USUAL:
        return cells
    columns, faults = usual(cells.columns, layout.wanted, writing)
    return cells._replace(columns=columns, faults=cells.faults | faults)


def _as_written(parcel: Parcel, layout: Layout, lenient: bool) -> Cells:  # noqa: FBT001
    if isinstance(parcel, Batch):
        return _of_batch(parcel, layout)
    if isinstance(parcel, Values):
        return _of_values(parcel, layout)
    if layout.format.kind == "JSON lines":
        return _of_json_lines(parcel, layout, lenient)
    cells = read_cells(parcel, len(layout.names), layout.places, layout.format.sep)
    return Cells(cells.rows, cells.columns, cells.faults, cells.lines, cells.empty)


def texts_of(fields: Sequence[str], cells: Sequence[str | bytes]) -> dict[str, str]:
    """The cells of a row by their fields. Raises InvalidRequest for one that is not UTF-8."""
    texts = {}
    for field, cell in zip(fields, cells, strict=True):
        try:
            texts[field] = cell.decode() if isinstance(cell, bytes) else cell
        except UnicodeDecodeError as error:
            raise InvalidRequest(field, _NOT_UTF8) from error
    return texts


def _of_json_lines(block: Block, layout: Layout, lenient: bool) -> Cells:  # noqa: FBT001
    names = [layout.names[at] for at in layout.places]
    rows: list[bytes] = []
    table, faults, lines = [], {}, []
    for line, text in enumerate(block.text.split(b"\n"), start=block.line):
        row = text.strip()
        if not row:
            continue
        try:
            fields: Mapping[str, msgspec.Raw] = _decode(row)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            fields, faults[len(rows)] = {}, _NO_JSON if _NAN.search(row) else _NOT_A_ROW
        else:
            lacking = [wanted for name, wanted in zip(names, layout.wanted) if name not in fields]  # noqa: B905
            if not (lenient or set(lacking).issubset(layout.optional)):
                fields, faults[len(rows)] = {}, f"{lacking[0]}: is missing"
        table.append([_of_json(fields[name]) if name in fields else b"" for name in names])
        rows.append(row)
        lines.append(line)
    columns = list(zip(*table, strict=True)) if table else [()] * len(names)
    return Cells(rows, list(map(as_text, columns)), faults, lines)


def _of_json(value: msgspec.Raw) -> bytes:
    text = bytes(value)
    if text[:1] == b'"':
        return _text(text).encode(errors="surrogatepass")
    return b"" if text == b"null" else text


def _of_values(values: Values, layout: Layout) -> Cells:
    filled = values.filled()
    columns = [
        as_text([_of_value(row[at]) if at < len(row) else b"" for _, row in filled])
        for at in layout.places
    ]
    return Cells((), columns, {}, [line for line, _ in filled])


def _of_value(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value)).encode()
    return str(value).encode()


def _of_batch(batch: Batch, layout: Layout) -> Cells:
    columns = []
    for at, name in zip(layout.places, layout.wanted, strict=True):
        column = batch.rows.column(at)
        try:
            columns.append(_as_text(column))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = f"{name} holds values of the type {printable(str(column.type))}"
            raise TableRefused(f"{reason}, and no text, numbers or lists of numbers") from error
    count = len(batch.rows)
    return Cells((), columns, {}, range(batch.line, batch.line + count))


def _as_text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _as_text(array.dictionary_decode())
    if pa.types.is_floating(kind):
        return _numbers(array.cast(pa.float64()))
    if pa.types.is_timestamp(kind):
        return _times(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(array)
    return _simple(array)


def _numbers(doubles: pa.Array) -> pa.Array:
    """The texts of floating-point numbers; "" for what is none."""
    known = pc.if_else(pc.is_nan(doubles), None, doubles)
    is_whole = pc.and_(pc.equal(pc.floor(known), known), pc.less(pc.abs(known), _EXACT))
    # Arrow writes whole numbers from 1e10 on with an exponent, and keys of rows are such numbers.
    large = pc.and_(is_whole, pc.greater_equal(pc.abs(known), _SHORT))
    whole = pc.if_else(large, known, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(whole, known.cast(pa.string()), pa.scalar(""))


def _simple(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_nested(kind):
        raise pa.ArrowNotImplementedError(str(kind))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return as_text([cell or b"" for cell in array.to_pylist()])
    try:
        return array.cast(pa.string()).fill_null("")
    except pa.ArrowNotImplementedError:
        return pa.array(["" if value is None else str(value) for value in array.to_pylist()])


def _times(array: pa.Array) -> pa.Array:
    """Times as the clock on the wall showed them."""
    wall = pc.local_timestamp(array) if array.type.tz else array
    seconds = pc.floor_temporal(wall, unit="second")
    whole = pc.all(pc.equal(seconds, wall), min_count=0).as_py()
    unit = pa.timestamp("s" if whole else "us")
    return wall.cast(unit, safe=False).cast(pa.string()).fill_null("")


def _lists(array: pa.Array) -> pa.Array:
    values = array.cast(pa.list_(pa.float64()))
    numbers = values.values.cast(pa.string()).fill_null("null")
    texts = pa.ListArray.from_arrays(values.offsets, numbers, mask=values.is_null())
    joined = pc.binary_join(texts, ", ")
    return pc.binary_join_element_wise("[", joined, "]", "").fill_null("")
