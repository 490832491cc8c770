"""The cells of a block of CSV, column by column, and the text of each row as it was.

pyarrow reads a block whose rows are all whole and take a line each. Any other block is read by
Python's csv module, which says of each bad row what is wrong with it. Both read the same cells.
"""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from model.tables.blocks import Block
from model.tables.errors import TableRefused
from model.tables.writing import as_text

# A signal that ends a run is its program's: pyarrow would raise an error of its own for it.
pa.enable_signal_handlers(False)  # noqa: FBT003 - its signature
# No NUL: the csv module of some 3.11 releases refuses lines that hold one.
_END: Final = "\x1ethe block ends here"
_UNREADABLE: Final = "the row is not readable CSV"
_LEAST_BLOCK: Final = 1 << 16


class CsvCells(NamedTuple):
    """`n` rows: the bytes of each without its line end, and the wanted columns of `n` cells each.

    The rows are an array of large binaries. A column is a pyarrow array of text, or of bytes where
    a cell is not UTF-8. `faults` tells for rows that can't be read why; their cells are empty, and
    their bytes hold as many cells as the header nevertheless. `lines` are the file's lines (from 1)
    at which the rows begin. `empty` counts the rows that were left out since all their cells are
    empty, as Excel writes them.
    """

    rows: pa.Array
    columns: Sequence[pa.Array]
    faults: dict[int, str]
    lines: Sequence[int]
    empty: int = 0


def read_cells(block: Block, width: int, wanted: Sequence[int], sep: str = ",") -> CsvCells:
    """The wanted cells of a block whose header has `width` of them, separated by `sep`.

    Line ends may be those of Unix or Windows; empty lines are not rows.
    Raises TableRefused when a quoted cell does not end.
    """
    return _quick(block, width, wanted, sep) or _careful(block, width, wanted, sep)


def _quick(block: Block, width: int, wanted: Sequence[int], sep: str) -> CsvCells | None:
    """None when some row is bad, empty or takes more than a line, or a line is empty."""
    text = block.text.replace(b"\r\n", b"\n") if b"\r" in block.text else block.text
    if not text.endswith(b"\n"):
        text += b"\n"
    lines = _lines(text)
    # A row of empty cells has less bytes than cells.
    if b"\r" in text or pc.min(pc.binary_length(lines)).as_py() < width:
        return None
    if not block.is_plain:  # one row more, which a quote that has no partner would swallow
        text = b"".join((text, b"-", (width - 1) * sep.encode(), b"\n"))
    rows = len(lines) + (not block.is_plain)
    names = list(map(str, range(width)))
    chosen = [names[at] for at in wanted]
    size = max(len(text) + 1, _LEAST_BLOCK)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=size),
            pyarrow.csv.ParseOptions(delimiter=sep, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(chosen, pa.string()),
                strings_can_be_null=False,
                include_columns=chosen,
            ),
        )
    except pa.ArrowInvalid:
        return None
    # No row takes less than a line: as many rows as lines are a line each.
    if table.num_rows != rows:
        return None
    columns = [table.column(at).combine_chunks()[: len(lines)] for at in range(len(chosen))]
    return CsvCells(lines, columns, {}, range(block.line, block.line + len(lines)))


def _lines(text: bytes) -> pa.Array:
    """The lines of a text, all of which have an end, without these ends."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    places = pa.py_buffer(np.concatenate(([0], ends)))
    whole = pa.Array.from_buffers(pa.large_binary(), len(ends), [None, places, pa.py_buffer(text)])
    return pc.binary_slice(whole, 0, -1)


def _careful(block: Block, width: int, wanted: Sequence[int], sep: str) -> CsvCells:
    rows, table, faults, lines, empty = [], [], {}, [], 0
    for at, row, cells in _records(block, sep):
        if cells and len(cells) > 1 and row == sep * (len(cells) - 1):
            empty += 1
            continue
        lines.append(at)
        if cells is not None and len(cells) == width:
            rows.append(_bytes(row))
            table.append(list(map(_bytes, cells)))
            continue
        faults[len(rows)] = _UNREADABLE if cells is None else _miscounted(len(cells), width)
        rows.append(_bytes(_row_of([row] if cells is None else cells, width, sep)))
        table.append([b""] * width)
    columns = list(zip(*table, strict=True)) if table else [()] * width
    columns_of_text = [as_text(columns[at]) for at in wanted]
    return CsvCells(pa.array(rows, pa.large_binary()), columns_of_text, faults, lines, empty)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _miscounted(cells: int, width: int) -> str:
    return f"the row has {cells} cells, the header {width}"


def _row_of(cells: Sequence[str], width: int, sep: str) -> str:
    out = io.StringIO()
    # The writer puts quotes around those line ends only that are its own.
    writer = csv.writer(out, delimiter=sep, lineterminator="\r\n")
    writer.writerow([*cells, *[""] * width][:width])
    return out.getvalue().removesuffix("\r\n")


def _records(block: Block, sep: str) -> Iterator[tuple[int, str, list[str] | None]]:
    """The line of each row, its text, and its cells, None when they can't be read."""
    csv.field_size_limit(sys.maxsize)
    text = block.text if block.text.endswith(b"\n") else block.text + b"\n"
    # Bytes that are not UTF-8 go through unharmed: `surrogateescape` gives them back.
    decoded = text.decode(errors="surrogateescape")
    lines = io.StringIO(f"{decoded}{_END}\n", newline="\n").readlines()
    reader = csv.reader(lines, delimiter=sep)
    while True:
        begin = reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error:
            cells = None
        if cells == [_END] and reader.line_num == len(lines):
            return
        if reader.line_num == len(lines):
            raise TableRefused(f"a quote at or after line {block.line + begin} has no partner")
        if cells != []:
            row = "".join(lines[begin : reader.line_num])
            yield block.line + begin, row.removesuffix("\n").rstrip("\r"), cells
