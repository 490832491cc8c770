"""Labels that come late: rows of one file get those of another by a key, columns of both."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from model.tables.cells import Cells, cells_of
from model.tables.errors import TableRefused
from model.tables.format import Format
from model.tables.table import Batch, Layout, Parcel, Values, open_table

_PARCEL_ROWS: Final = 20_000
# From here on whole numbers are not all different, by the bits of a floating-point number.
_INEXACT: Final = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
# A whole number in a column of floating-point numbers, which one empty cell makes of integers.
_WHOLE: Final = re.compile(rb"(-?\d+)\.0+")


_Key: TypeAlias = tuple[bytes, ...]


class LateLabel(NamedTuple):
    """A cell with a label, and the line or row of its file where it stands."""

    cell: bytes
    line: int


class Keyed(NamedTuple):
    """A row: the cells of its key, and of a label of its own, b"" if it has none."""

    line: int
    key: _Key
    own: bytes
    is_readable: bool


class _File(NamedTuple):
    """The labels of a file by key; the numbers are those of `Joined`."""

    labels: dict[_Key, LateLabel]
    empty: int
    unkeyed: int
    format: Format


class Joined(Struct, frozen=True):
    """What a join came to. A label is that of one key, however often the file repeats it.

    `used` of the `labels` have a row, `shared` of these more than one; `empty` keys have an empty
    cell instead of a label, and `unkeyed` labels an empty cell in their key, so they have no row.
    `rows` rows got a label, `rows_with_own` have only one of their own, `rows_without` have none.
    """

    labels: int
    used: int
    shared: int
    empty: int
    unkeyed: int
    rows: int
    rows_with_own: int
    rows_without: int

    def __str__(self) -> str:
        """All counts for a terminal, those of what may be a mistake only if there are some."""
        doubtful = (
            (self.rows_with_own, "rows have only a label of their own"),
            (self.shared, "labels serve several rows"),
            (self.empty, "labels are empty: none yet"),
            (self.unkeyed, "labels have no whole key"),
        )
        used = f"{self.used} of {self.labels} labels used for {self.rows} rows"
        unused = f"{self.labels - self.used} without a row"
        more = "".join(f"; {count} {what}" for count, what in doubtful if count)
        return f"{used}, {unused}; {self.rows_without} rows have no label{more}"


class LateLabels:
    """The labels of a file by the values of one or more columns, the key.

    A row whose key has an empty cell has none. A row that has a label of its own keeps it if there
    is none here; two that differ are refused.
    """

    def __init__(
        self, path: Path, keys: Sequence[str], label: str, *, many_to_one: bool = False
    ) -> None:
        """Read the file; `many_to_one`: one label may serve several rows.

        Raises OSError, and TableRefused, which names the path.
        """
        self.path = path
        self.keys = tuple(keys)
        self._many_to_one = many_to_one
        self._rows: Counter[_Key] = Counter()
        self._rows_with_own = 0
        self._rows_without = 0
        self._conflicts: list[tuple[int, int]] = []
        try:
            self._read = _read(path, self.keys, label)
        except TableRefused as error:
            raise TableRefused(f"{path}: {error.reason}") from error

    @property
    def format(self) -> Format:
        """What was found out about the file."""
        return self._read.format

    @property
    def joined(self) -> Joined:
        """What came of the join so far."""
        return Joined(
            labels=len(self._read.labels),
            used=len(self._rows),
            shared=sum(count > 1 for count in self._rows.values()),
            empty=self._read.empty,
            unkeyed=self._read.unkeyed,
            rows=self._rows.total(),
            rows_with_own=self._rows_with_own,
            rows_without=self._rows_without,
        )

    def of(self, rows: Iterable[Keyed]) -> list[LateLabel | None]:
        """The labels of rows, None for a row that has none here."""
        return [self._of(row) for row in rows]

    def _of(self, row: Keyed) -> LateLabel | None:
        key = _plain_key(row.key)
        label = self._read.labels.get(key)
        has_own = bool(row.own.strip())
        if label:
            self._rows[key] += 1
            if has_own and _word(row.own) != _word(label.cell):
                self._conflicts.append((row.line, label.line))
        elif has_own:
            self._rows_with_own += 1
        elif row.is_readable:
            self._rows_without += 1
        return label

    def check(self, form: Format) -> None:
        """Raise TableRefused if no row had a label, or one that it can't have.

        `form` is that of the file of rows.
        """
        named = ", ".join(self.keys)
        if not self._rows:
            raise TableRefused(f"{self.path} has no value of {named} in common with the rows")
        if self._conflicts:
            row, line = self._conflicts[0]
            raise TableRefused(
                f"{len(self._conflicts)} rows have a label of their own that differs, as "
                f"{form.place(row)} from {self.where(line)}: leave out the one that is wrong"
            )
        if (shared := self.joined.shared) and not self._many_to_one:
            key, rows = self._rows.most_common(1)[0]
            line = self._read.labels[key].line
            raise TableRefused(
                f"{shared} labels serve more than one row by {named}, that of {self.where(line)} "
                f"serves {rows}: name all columns of the key by --on, or allow it by --many-to-one"
            )

    def where(self, line: int) -> str:
        """A place in the file, for messages."""
        return f"{self.format.place(line)} of {self.path}"


def check_exact(parcel: Parcel, layout: Layout, keys: Sequence[str]) -> None:
    """Raise TableRefused if numbers in a column of the key may have lost digits."""
    for key in keys:
        _check_exact(parcel, layout, key)


def _check_exact(parcel: Parcel, layout: Layout, key: str) -> None:
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


def _read(path: Path, keys: Sequence[str], label: str) -> _File:
    labels: dict[_Key, LateLabel] = {}
    empty: set[_Key] = set()
    differing: set[_Key] = set()
    unkeyed = 0
    with open_table(path, (*keys, label)) as table:
        for parcel in table.parcels(_PARCEL_ROWS):
            check_exact(parcel, table.layout, keys)
            cells = cells_of(parcel, table.layout)
            _check_readable(cells, table.layout.format)
            columns = [column.cast(pa.binary()).to_pylist() for column in cells.columns]
            for line, *parts, cell in zip(cells.lines, *columns, strict=True):
                key = _plain_key(parts)
                if not all(key):
                    unkeyed += 1
                elif not cell.strip():
                    empty.add(key)
                elif _word(labels.setdefault(key, LateLabel(cell, line)).cell) != _word(cell):
                    differing.add(key)
        found = table.layout.format
    if differing:
        named = ", ".join(keys)
        raise TableRefused(f"{len(differing)} values of {named} have two labels that differ")
    return _File(labels, len(empty - labels.keys()), unkeyed, found)


def _check_readable(cells: Cells, form: Format) -> None:
    for row, reason in cells.faults.items():
        raise TableRefused(f"{form.place(cells.lines[row])}: {reason}")


def _plain_key(cells: Sequence[bytes]) -> _Key:
    return tuple(map(_plain, cells))


def _plain(cell: bytes) -> bytes:
    """A key without blanks around it; one file may hold numbers where the other has text."""
    bare = cell.strip()
    whole = _WHOLE.fullmatch(bare)
    return whole[1] if whole else bare


def _word(cell: bytes) -> str:
    """A label, in the same letters however it is written."""
    return _plain(cell).decode(errors="replace").casefold()
