"""Labels that come late: rows of one file get labels of another by a key that both have."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from model.tables.cells import Cells, cells_of
from model.tables.errors import TableRefused
from model.tables.format import Format
from model.tables.table import Batch, Layout, Parcel, Values, open_table

_PARCEL_ROWS: Final = 20_000
# From here on whole numbers are not all different, by the bits of a floating-point number.
_INEXACT: Final = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
# A whole number in a column of floating-point numbers, which one empty cell makes of integers.
_WHOLE: Final = re.compile(rb"(-?\d+)\.0+")


class LateLabel(NamedTuple):
    """A cell with a label, and the line or row of its file where it stands."""

    cell: bytes
    line: int


class LateLabels:
    """The labels of a file by the values of the column `key`.

    `rows_without` counts the rows that have no label, `labels_without` is the number of labels that
    have no row, both among what `of` was called with.
    """

    def __init__(self, path: Path, key: str, label: str) -> None:
        """Read the file. Raises OSError, and TableRefused, which names the path."""
        self.path = path
        self.key = key
        self.rows_without = 0
        self._used: set[bytes] = set()
        try:
            self._labels, self.format = _read(path, key, label)
        except TableRefused as error:
            raise TableRefused(f"{path}: {error.reason}") from error

    @property
    def labels_without(self) -> int:
        """How many labels belong to no row."""
        return len(self._labels) - len(self._used)

    def of(self, keys: Sequence[bytes], readable: Sequence[bool]) -> list[LateLabel | None]:
        """The labels of rows, None for a row without one; rows that can't be read don't count."""
        found = [self._labels.get(_plain(key)) for key in keys]
        self._used.update(_plain(key) for key, label in zip(keys, found, strict=True) if label)
        self.rows_without += sum(
            can and label is None for can, label in zip(readable, found, strict=True)
        )
        return found

    def check(self) -> None:
        """Raise TableRefused if no row had a label."""
        if not self._used:
            raise TableRefused(f"{self.path} has no value of {self.key} in common with the rows")

    def where(self, line: int) -> str:
        """A place in the file, for messages."""
        return f"{self.format.place(line)} of {self.path}"


def check_exact(parcel: Parcel, layout: Layout, key: str) -> None:
    """Raise TableRefused if numbers in the column `key` may have lost digits."""
    at = layout.places[layout.wanted.index(key)]
    if isinstance(parcel, Batch):
        column = parcel.rows.column(at)
        if not pa.types.is_floating(column.type):
            return
        bits = column.type.bit_width
        greatest = pc.max(pc.abs(column.cast(pa.float64()))).as_py()
    elif isinstance(parcel, Values):
        cells = (row[at] for row in parcel.rows if at < len(row))
        bits = 64
        greatest = max((abs(cell) for cell in cells if isinstance(cell, float)), default=None)
    else:
        return
    if greatest is not None and greatest >= _INEXACT[bits]:
        raise TableRefused(
            f"numbers in {key} have more digits than the file keeps: store them as text"
        )


def _read(path: Path, key: str, label: str) -> tuple[dict[bytes, LateLabel], Format]:
    labels: dict[bytes, LateLabel] = {}
    differing: set[bytes] = set()
    with open_table(path, (key, label)) as table:
        for parcel in table.parcels(_PARCEL_ROWS):
            check_exact(parcel, table.layout, key)
            cells = cells_of(parcel, table.layout)
            _check_readable(cells, table.layout.format)
            keys, given = (column.cast(pa.binary()).to_pylist() for column in cells.columns)
            for line, each, cell in zip(cells.lines, map(_plain, keys), given, strict=True):
                first = labels.setdefault(each, LateLabel(cell, line))
                if _plain(first.cell) != _plain(cell):
                    differing.add(each)
        found = table.layout.format
    labels.pop(b"", None)
    if differing := differing - {b""}:
        raise TableRefused(f"{len(differing)} values of {key} have two labels that differ")
    return labels, found


def _check_readable(cells: Cells, form: Format) -> None:
    for row, reason in cells.faults.items():
        raise TableRefused(f"{form.place(cells.lines[row])}: {reason}")


def _plain(cell: bytes) -> bytes:
    """A key without blanks around it; one file may hold numbers where the other has text."""
    bare = cell.strip()
    whole = _WHOLE.fullmatch(bare)
    return whole[1] if whole else bare
