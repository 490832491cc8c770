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
from model.tables.blocks import Block
from model.tables.csv_cells import as_text, read_cells
from model.tables.table import Batch, Layout, Parcel, Values

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_NOT_UTF8: Final = "must be UTF-8 text"
_NOT_A_ROW: Final = "the row is no JSON object"

_COMMA_NUMBER: Final = r"^(\s*-?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?\s*)$"
_DECIMALS: Final = rb"-?\d+(?:,\d+)?(?:[eE][-+]?\d+)?"
_SPACED_LIST: Final = re.compile(
    rb"\s*\[\s*(?:" + _DECIMALS + rb"(?:,\s+" + _DECIMALS + rb")*\s*)?\]\s*"
)
# Times with the day first: 1.08.2021 9:02, also with seconds. What takes the place of each pattern
# pads the day, the month and the hour, then puts the year first.
_CLOCK: Final = r"\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*$"
_TO_ISO: Final = (
    (r"^\s*(\d\.\d\d?\.\d{4}[ T]+\d?" + _CLOCK, r"0\1"),
    (r"^\s*(\d\d)\.(\d\.\d{4}[ T]+\d?" + _CLOCK, r"\1.0\2"),
    (r"^\s*(\d\d\.\d\d\.\d{4})[ T]+(" + _CLOCK, r"\1 0\2"),
    (r"^\s*(\d\d)\.(\d\d)\.(\d{4})[ T]+(\d" + _CLOCK, r"\3-\2-\1 \4"),
)
_INNER_COMMA: Final = re.compile(rb"(?<=\d),(?=\d)")
_AMBIGUOUS: Final = "commas may be between numbers or before decimals: put ; between the numbers"


class Cells(NamedTuple):
    """`n` rows: `columns` are the wanted ones, of `n` cells each, as pyarrow arrays of text.

    A column is one of bytes where a cell is no UTF-8.

    `faults` says of rows that can't be read why; their cells are empty. `lines` are the lines
    or row numbers (from 1) of the file at which rows begin. `rows` are the rows of CSV and JSON
    lines as they were, without their ends, where they can't be read with as many cells as the
    header; none of other forms.
    """

    rows: Sequence[bytes]
    columns: Sequence[pa.Array]
    faults: dict[int, str]
    lines: Sequence[int]


def cells_of(parcel: Parcel, layout: Layout, *, lenient: bool = False) -> Cells:
    """The wanted cells of a parcel; `lenient`: what a row of JSON lacks is empty, and no fault.

    Raises TableRefused when a quoted cell does not end.
    """
    if isinstance(parcel, Batch):
        return _of_batch(parcel, layout)
    if isinstance(parcel, Values):
        return _of_values(parcel, layout)
    if layout.format.kind == "JSON lines":
        return _of_json_lines(parcel, layout, lenient)
    return _of_csv(parcel, layout)


def _of_csv(block: Block, layout: Layout) -> Cells:
    form = layout.format
    cells = read_cells(block, len(layout.names), layout.places, form.sep)
    columns, faults = list(cells.columns), cells.faults
    if form.decimal == ",":
        columns = [pc.replace_substring_regex(one, _COMMA_NUMBER, r"\1.\2") for one in columns]
    if form.day_first:
        for pattern, instead in _TO_ISO:
            columns = [pc.replace_substring_regex(one, pattern, instead) for one in columns]
    if form.list_decimal == ",":
        faults = faults | _change_lists(columns, layout.wanted)
    return Cells(cells.rows, columns, faults, cells.lines)


def _change_lists(columns: list[pa.Array], names: Sequence[str]) -> dict[int, str]:
    """Put points into lists of numbers with decimal commas. Returns the faults of unclear ones."""
    faults = {}
    for at, column in enumerate(columns):
        cells = column.cast(pa.binary()).to_pylist()
        for row, cell in enumerate(cells):
            if b"," in cell and cell.lstrip()[:1] == b"[":
                changed = list_with_points(cell)
                if changed is None:
                    faults[row] = f"{names[at]}: {_AMBIGUOUS}"
                else:
                    cells[row] = changed
        columns[at] = as_text(cells)
    return faults


def texts_of(fields: Sequence[str], cells: Sequence[str | bytes]) -> dict[str, str]:
    """The cells of a row by their fields. Raises InvalidRequest for one that is not UTF-8."""
    texts = {}
    for field, cell in zip(fields, cells, strict=True):
        try:
            texts[field] = cell.decode() if isinstance(cell, bytes) else cell
        except UnicodeDecodeError as error:
            raise InvalidRequest(field, _NOT_UTF8) from error
    return texts


def list_with_points(cell: bytes) -> bytes | None:
    """A list with decimal commas as one with points; None if its commas are unclear."""
    if b"." in cell:
        return cell
    if b";" in cell:
        return cell.replace(b",", b".").replace(b";", b",")
    return _INNER_COMMA.sub(b".", cell) if _SPACED_LIST.fullmatch(cell) else None


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
            fields, faults[len(rows)] = {}, _NOT_A_ROW
        else:
            lacking = [wanted for name, wanted in zip(names, layout.wanted) if name not in fields]  # noqa: B905
            if lacking and not lenient:
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
    filled = [
        (line, row)
        for line, row in enumerate(values.rows, start=values.line)
        if any(value is not None for value in row)
    ]
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
    columns = [_as_text(batch.rows.column(at)).fill_null("") for at in layout.places]
    count = len(batch.rows)
    return Cells((), columns, {}, range(batch.line, batch.line + count))


def _as_text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _as_text(array.dictionary_decode())
    if pa.types.is_floating(kind):
        doubles = array.cast(pa.float64())
        return pc.if_else(pc.is_nan(doubles), None, doubles).cast(pa.string())
    if pa.types.is_timestamp(kind):
        return _times(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(array)
    try:
        return array.cast(pa.string())
    except pa.ArrowNotImplementedError:
        return pa.array([None if value is None else str(value) for value in array.to_pylist()])


def _times(array: pa.Array) -> pa.Array:
    """Times as the clock on the wall showed them."""
    wall = pc.local_timestamp(array) if array.type.tz else array
    seconds = pc.floor_temporal(wall, unit="second")
    whole = pc.all(pc.equal(seconds, wall), min_count=0).as_py()
    unit = pa.timestamp("s" if whole else "us")
    return wall.cast(unit, safe=False).cast(pa.string())


def _lists(array: pa.Array) -> pa.Array:
    values = array.cast(pa.list_(pa.float64()))
    numbers = values.values.cast(pa.string()).fill_null("null")
    texts = pa.ListArray.from_arrays(values.offsets, numbers, mask=values.is_null())
    joined = pc.binary_join(texts, ", ")
    return pc.binary_join_element_wise("[", joined, "]", "")
