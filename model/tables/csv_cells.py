"""The cells of a block of CSV, column by column, and the text of each row as it was.

The quick road takes blocks whose quotes are all of the simple kind: around a whole cell, none
inside, no line end inside. All others take the road of Python's csv module.
"""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from model.tables.blocks import Block
from model.tables.errors import TableRefused

# No NUL: the csv module of some 3.11 releases refuses lines that hold one.
_END: Final = "\x1ethe block ends here"
_UNREADABLE: Final = "the row is not readable CSV"


class CsvCells(NamedTuple):
    """`n` rows: the bytes of each without its line end, and columns of `n` cells each.

    `faults` tells for rows that can't be read why; their cells are empty, and their bytes
    hold as many cells as the header nevertheless. `lines` are the file's lines (from 1) at
    which the rows begin.
    """

    rows: Sequence[bytes]
    columns: Sequence[Sequence[bytes]]
    faults: dict[int, str]
    lines: Sequence[int]


def read_cells(block: Block, width: int, sep: str = ",") -> CsvCells:
    """The cells of a block whose header has `width` of them, separated by `sep`.

    Line ends may be those of Unix or Windows; empty lines are no rows.
    Raises TableRefused when a quoted cell does not end.
    """
    text = block.text if block.text.endswith(b"\n") else block.text + b"\n"
    unix = text.replace(b"\r\n", b"\n")
    return _quick(unix, width, sep, block.line) or _careful(text, width, sep, block.line)


def _quick(text: bytes, width: int, sep: str, line: int) -> CsvCells | None:
    """None when the block is not of the simple kind."""
    rows = text.split(b"\n")
    rows.pop()
    pieces = text.split(b'"')
    quoted = pieces[1::2]
    # Each quoted cell becomes one quote; and a line end a cell of its own behind the row's.
    comma = sep.encode()
    cells = b'"'.join(pieces[0::2]).replace(b"\n", comma + b"\n" + comma).split(comma)
    cells.pop()
    step = width + 1
    if b"\r" in text or len(cells) != len(rows) * step or cells[width::step] != [b"\n"] * len(rows):
        return None
    columns = _columns(cells, quoted, step)
    return CsvCells(rows, columns, {}, range(line, line + len(rows))) if columns else None


def _columns(cells: list[bytes], quoted: list[bytes], step: int) -> list[Sequence[bytes]] | None:
    """None when some quote is not around a whole cell."""
    columns: list[Sequence[bytes]] = [cells[at::step] for at in range(step - 1)]
    count = len(columns[0])
    counts = [column.count(b'"') for column in columns]
    if sum(counts) != len(quoted):
        return None
    if all(number in {0, count} for number in counts):
        places = [at for at, number in enumerate(counts) if number]
        for number, at in enumerate(places):
            columns[at] = quoted[number :: len(places)]
        return columns
    contents = iter(quoted)
    filled = [next(contents) if cell == b'"' else cell for cell in cells]
    return [filled[at::step] for at in range(step - 1)]


def _careful(text: bytes, width: int, sep: str, line: int) -> CsvCells:
    rows, table, faults, lines = [], [], {}, []
    for at, row, cells in _records(text, sep, line):
        lines.append(at)
        if cells is not None and len(cells) == width:
            rows.append(_bytes(row))
            table.append(list(map(_bytes, cells)))
            continue
        faults[len(rows)] = _UNREADABLE if cells is None else _miscounted(len(cells), width)
        rows.append(_bytes(_row_of([row] if cells is None else cells, width, sep)))
        table.append([b""] * width)
    columns = list(zip(*table, strict=True)) if table else [()] * width
    return CsvCells(rows, columns, faults, lines)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _miscounted(cells: int, width: int) -> str:
    return f"the row has {cells} cells, the header {width}"


def _row_of(cells: Sequence[str], width: int, sep: str) -> str:
    out = io.StringIO()
    # The writer puts quotes around those line ends only that are its own.
    csv.writer(out, delimiter=sep, lineterminator="\r\n").writerow([*cells, *[""] * width][:width])
    return out.getvalue().removesuffix("\r\n")


def _records(text: bytes, sep: str, line: int) -> Iterator[tuple[int, str, list[str] | None]]:
    """The line of each row, its text, and its cells, None when they can't be read."""
    csv.field_size_limit(sys.maxsize)
    # Bytes that are no UTF-8 go through unharmed: `surrogateescape` gives them back.
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
            raise TableRefused(f"a quote at or after line {line + begin} has no partner")
        if cells != []:
            row = "".join(lines[begin : reader.line_num])
            yield line + begin, row.removesuffix("\n").removesuffix("\r"), cells
