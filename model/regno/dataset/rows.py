"""A file of readings with their labels, for training: features, labels and times.

The rules and messages are those of bulk scoring: a row that `model.score` would refuse is not
trained on.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from model.names import PLATE
from model.redaction import is_whole_plate
from model.regno.columns.checked import check
from model.regno.columns.table import Columns, TableMaker
from model.regno.dataset.late_labels import (
    Joined,
    Keyed,
    LateLabel,
    LateLabels,
    check_exact,
)
from model.regno.doubts.finder import Doubts, usual_lengths
from model.regno.doubts.ranges import ANY
from model.regno.features import KINDS
from model.regno.model_file.manifest import USUAL_LENGTHS
from model.regno.request import FIELDS
from model.request_decoder import EMPTY
from model.tables.cells import Cells, cells_of
from model.tables.errors import ColumnsMissing, TableRefused
from model.tables.format import Format
from model.tables.options import SNIFFED, Options
from model.tables.table import Layout, open_table

Array: TypeAlias = np.ndarray[Any, Any]

_PARCEL_ROWS: Final = 5_000
_LABELS: Final = {b"0": 0, b"1": 1, b"0.0": 0, b"1.0": 1}
# Invalid labels that a message may repeat: none can be a plate from a wrong column.
_SHOWN: Final = frozenset(
    (*("true", "false", "yes", "no", "y", "n", "t", "f", "да", "нет"), "nan", "null", "none")
)
# Words whose counterpart is known: either may be the one that means 1.
_PAIRS: Final = (
    *(("1", "0"), ("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f")),
    *(("да", "нет"), ("д", "н"), ("network", "camera")),
)
_OPPOSITES: Final = dict(_PAIRS) | {second: first for first, second in _PAIRS}
# Words that no plate is.
_KNOWN: Final = _SHOWN | frozenset(_OPPOSITES)
_TIME: Final = FIELDS.index("time_check")
# Values go into vocabularies, and from there into metrics.
_NAMED: Final = {name: FIELDS.index(name) for name in ("camera_type", "camera_class")}
# With more rows than this whose category is a plate, the column must be another one.
_FEW: Final = 3
_CATEGORIES: Final = [name for name, kind in KINDS.items() if kind == "categorical"]


class LabelledRows(NamedTuple):
    """`n` rows: all features by name, the labels (n,) as 0 or 1, the times (n,) to the second.

    `weights` (n,) are how much each row counts in training, None if they count the same.
    A label is 1 when the network's reading is the true one. Times are wall-clock times, as in the
    features: no zone is applied.
    """

    table: pd.DataFrame
    labels: Array
    times: Array
    weights: Array | None = None

    def at(self, rows: Array) -> "LabelledRows":
        """The rows at these places."""
        table = self.table.iloc[rows].reset_index(drop=True)
        weights = None if self.weights is None else self.weights[rows]
        return LabelledRows(table, self.labels[rows], self.times[rows], weights)


_NONE: Final = LabelledRows(
    pd.DataFrame(columns=list(KINDS)), np.empty(0, dtype=int), np.empty(0, dtype="datetime64[s]")
)


class Fault(NamedTuple):
    """What is wrong with a row: `where` is such as "line 3", `reason` is "field: reason"."""

    where: str
    reason: str


class Choices(NamedTuple):
    """`positive` is the word that `Labels` takes, `extra` are further columns to keep.

    `late` are labels of another file: rows without one are left out, unless they have their own.
    """

    positive: str = ""
    extra: Sequence[str] = ()
    late: LateLabels | None = None


_USUAL: Final = Choices()


class Contents(NamedTuple):
    """The contents of a file: its good rows in their order, and the faults of the others.

    `warnings` are the good rows by warning, `plate_lengths` is as in a manifest, `format` is what
    was found out about the file. `extra` are other columns of the good rows, as text; `lines` are
    the lines or rows of the file at which they begin. `empty` counts the rows that were left out
    since all their cells are empty, `joined` is what became of late labels, None without any.
    """

    rows: LabelledRows
    faults: list[Fault]
    warnings: dict[str, int]
    plate_lengths: int
    format: Format
    extra: pd.DataFrame
    lines: Sequence[int]
    empty: int = 0
    joined: Joined | None = None


class _Part(NamedTuple):
    """The same of one parcel: `columns` are the fields of its good rows, in pieces.

    `plates` are its rows with a plate in a column of names, by the column; `extra` are the cells of
    the other columns.
    """

    rows: list[LabelledRows]
    faults: list[Fault]
    columns: list[Columns]
    plates: Mapping[str, int] = {}
    extra: Sequence[Sequence[str]] = ()
    lines: Sequence[int] = ()


class Labels:
    """Makes labels of cells: of 0 and 1, or of two words, one of which is named."""

    def __init__(self, positive: str = "") -> None:
        """`positive` is the word that means that the network is right; "": they are 0 and 1."""
        self._positive = positive.strip().casefold()
        self._negative = _OPPOSITES.get(self._positive, "")
        self._occurred = not positive
        self._is_empty = True
        self._others: set[str] = set()

    def of(self, cells: Sequence[bytes]) -> Array:
        """The labels, -1 where a cell is none, shape (cells,)."""
        if not self._positive:
            return np.array([_LABELS.get(cell, -1) for cell in cells])
        return np.array([self._word(cell) for cell in cells])

    def _word(self, cell: bytes) -> int:
        word = cell.decode(errors="replace").strip().casefold()
        self._is_empty = self._is_empty and not word
        if word == self._positive:
            self._occurred = True
            return 1
        self._others |= {word} & _KNOWN
        # Of a word without a known counterpart, the first other word is the negative one.
        self._negative = self._negative or word
        return 0 if word and word == self._negative else -1

    def check(self, label: str) -> None:
        """Raises TableRefused if the column has words, and none is the one that is named."""
        if not (self._occurred or self._is_empty):
            others = f", but {' or '.join(sorted(self._others))}" if self._others else ""
            raise TableRefused(
                f"{label} is {self._positive!r} in no row{others}: --positive names the word that "
                "means that the network is right"
            )

    def fault(self, cell: bytes) -> str:
        """Why a cell is not a label; a word is repeated only if no plate can be it."""
        text = cell.decode(errors="replace").strip().lower()
        if not text:
            return EMPTY
        expected = "must be one of two words" if self._positive else "must be 0 or 1"
        hint = "" if self._positive or text not in _OPPOSITES else " (--positive names the word)"
        return f"{expected}, not {text}{hint}" if text in _KNOWN else expected


def read(
    file: Path | BinaryIO,
    label: str,
    progress: Callable[[int], object],
    options: Options = SNIFFED,
    choices: Choices = _USUAL,
) -> Contents:
    """Read a whole file, of any form that `model.tables` knows.

    `label` names the column of labels; `progress` is called with the number of bytes that are read
    more. Raises OSError, and TableRefused if the file is not such a table.
    """
    positive, extra, late = choices
    if label in FIELDS:
        raise TableRefused(f"{label} is a field of the reading and can't be the label")
    rows, faults, warnings = [], [], _Warnings()
    plates: Counter[str] = Counter()
    labels_of = Labels(positive)
    kept: list[list[str]] = [[] for _ in extra]
    lines: list[int] = []
    empty = 0
    labelled_by = late.keys if late else (label,)
    own = (label,) if late else ()
    wanted = [*FIELDS, *labelled_by, *extra]
    with _label_explained(label), open_table(file, wanted, options, own) as table:
        found = table.layout.format
        for parcel in table.parcels(_PARCEL_ROWS):
            if late:
                check_exact(parcel, table.layout, late.keys)
            cells = cells_of(parcel, table.layout)
            empty += cells.empty
            part = _part(cells, table.layout, label, labels_of, choices)
            for column, values in zip(kept, part.extra, strict=False):
                column.extend(values)
            lines += part.lines
            plates.update(part.plates)
            _check_plates(plates)
            rows += part.rows
            faults += part.faults
            warnings.add(part.columns)
            progress(table.source.read_more())
    if late:
        late.check(found)
    labels_of.check(label)
    rows = rows or [_NONE]
    good = LabelledRows(
        pd.concat([part.table for part in rows], ignore_index=True),
        np.concatenate([part.labels for part in rows]),
        np.concatenate([part.times for part in rows]),
    )
    return Contents(
        *(good, faults, dict(warnings.counts), warnings.plate_lengths, found),
        *(pd.DataFrame(dict(zip(extra, kept, strict=True))), lines, empty),
        late.joined if late else None,
    )


@contextmanager
def _label_explained(label: str) -> Iterator[None]:
    """Say which option names the column of labels, if only that is missing."""
    try:
        yield
    except ColumnsMissing as error:
        if list(error.missing) != [label]:
            raise
        raise TableRefused(error.reason, "--label names the column of labels") from error


class _Warnings:
    """Counts rows by warning. The first rows determine the usual size of a length list."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.plate_lengths = USUAL_LENGTHS
        self._doubts: Doubts | None = None

    def add(self, pieces: Iterable[Columns]) -> None:
        """Count the rows of some columns."""
        for columns in pieces:
            if self._doubts is None:
                self.plate_lengths = usual_lengths(columns.length_scores.sizes)
                self._doubts = Doubts(ANY, self.plate_lengths)
            self.counts.update(self._doubts.count(columns))


class _Given(NamedTuple):
    """The cells with labels of a parcel's rows.

    `later` are the labels of another file, by row; `without` are rows that have none at all.
    """

    cells: Sequence[bytes]
    later: Mapping[int, LateLabel] = {}
    without: AbstractSet[int] = frozenset()


def _given(
    cells: Cells, columns: Mapping[str, Sequence[bytes]], label: str, late: LateLabels | None
) -> _Given:
    """The labels of rows: those of their own, or of another file."""
    if late is None:
        return _Given(columns[label])
    keys = zip(*(columns[key] for key in late.keys), strict=True)
    own = columns.get(label) or [b""] * len(cells.lines)
    readable = [row not in cells.faults for row in range(len(cells.lines))]
    found = late.of(map(Keyed, cells.lines, keys, own, readable))
    later = {row: label for row, label in enumerate(found) if label}
    given = [label.cell if label else mine for label, mine in zip(found, own, strict=True)]
    without = {row for row, can in enumerate(readable) if can and not given[row].strip()}
    return _Given(given, later, without)


def _part(cells: Cells, layout: Layout, label: str, labels_of: Labels, choices: Choices) -> _Part:
    """The rows of a parcel as one part, none when it has no good row."""
    if not cells.lines:
        return _Part([], [], [])
    form, late = layout.format, choices.late
    texts = [column.cast(pa.binary()).to_pylist() for column in cells.columns]
    columns = dict(zip(layout.wanted, texts, strict=True))
    fields = texts[: len(FIELDS)]
    given, later, without = _given(cells, columns, label, late)
    labels = labels_of.of(given)
    plates = _plates(fields)
    named = {row: f"{name}: {PLATE}" for name, at in plates.items() for row in at}
    unlabelled = np.flatnonzero(labels < 0).tolist()
    unnamed = {row: f"{label}: {labels_of.fault(given[row])}" for row in unlabelled}
    checked = check(cells.columns[: len(FIELDS)], named | unnamed | cells.faults)
    counts = {name: len(at) for name, at in plates.items()}
    faults = []
    for row in sorted(checked.faults.keys() - without):
        reason, where = checked.faults[row], form.place(cells.lines[row])
        if late and row in later and reason == unnamed.get(row):
            where = late.where(later[row].line)
        faults.append(Fault(where, reason))
    good = np.array(
        [row for row in range(len(cells.lines)) if row not in checked.faults], dtype=int
    )
    if not len(good):
        return _Part([], faults, [], counts)
    times = np.array([_second(fields[_TIME][row]) for row in good], dtype="datetime64[s]")
    pieces = list(checked.pieces())
    rows = LabelledRows(_table(pieces), labels[good], times)
    extra = [
        [columns[name][row].decode(errors="replace") for row in good.tolist()]
        for name in choices.extra
    ]
    lines = [cells.lines[row] for row in good.tolist()]
    return _Part([rows], faults, [columns for _, columns in pieces], counts, extra, lines)


def _plates(fields: Sequence[Sequence[bytes]]) -> dict[str, list[int]]:
    """The rows that have a plate in a column of names."""
    rows = {}
    for name, at in _NAMED.items():
        plates = {cell for cell in set(fields[at]) if is_whole_plate(cell.decode(errors="replace"))}
        rows[name] = [row for row, cell in enumerate(fields[at]) if cell in plates]
    return rows


def _check_plates(rows: Mapping[str, int]) -> None:
    for name, count in rows.items():
        if count > _FEW:
            raise TableRefused(
                f"{name} of {count} rows and more holds what may be number plates, which are "
                "personal data: is it another column?"
            )


def _table(pieces: Sequence[tuple[Array, Columns]]) -> pd.DataFrame:
    """The features of all rows without a fault, in the order of the file."""
    maker = TableMaker(list(KINDS.items()))
    tables = [maker.of_columns(columns).set_axis(rows) for rows, columns in pieces]
    # Parcels have different categories, so that their codes would not go together.
    plain = [table.astype(dict.fromkeys(_CATEGORIES, object)) for table in tables]
    return pd.concat(plain).sort_index(ignore_index=True)


def _second(cell: bytes) -> datetime:
    return datetime.fromisoformat(cell.decode()).replace(tzinfo=None, microsecond=0)
