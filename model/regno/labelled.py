"""A CSV file of readings with their labels, for training: features, labels and times.

The rules are those of bulk scoring, and so are the words: a row that `model.score` would
refuse is no row to train on.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from model.bulk.blocks import Block, blocks, read_header
from model.bulk.cells import Cells, read_cells
from model.bulk.errors import TableRefused
from model.regno.csv_header import column_names, places
from model.regno.csv_rows import Checked, check
from model.regno.features import CATEGORICAL, NAMES, NUMERIC
from model.regno.request import FIELDS
from model.regno.table import TableMaker
from model.wire import EMPTY

Array: TypeAlias = np.ndarray[Any, Any]

_BLOCK_LINES: Final = 5_000
_LABELS: Final = {b"0": 0, b"1": 1, b"0.0": 0, b"1.0": 1}
# What may be repeated of a label that is none: it can't be a plate that stands in a wrong column.
_SHOWN: Final = frozenset(
    (*("true", "false", "yes", "no", "y", "n", "t", "f", "да", "нет"), "nan", "null", "none")
)
_TIME: Final = FIELDS.index("time_check")
_KINDS: Final = {**dict.fromkeys(NUMERIC, "numeric"), **dict.fromkeys(CATEGORICAL, "categorical")}
FEATURES: Final = [(name, _KINDS.get(name, "text")) for name in NAMES]


class Labelled(NamedTuple):
    """`n` rows: the features by name, the labels (n,) as 0 or 1, the times (n,) to the second.

    A label is 1 when the network's reading is the true one. Times are those of the clock on
    the wall, as in the features: no zone is applied.
    """

    table: pd.DataFrame
    labels: Array
    times: Array

    def at(self, rows: Array) -> "Labelled":
        """The rows at these places."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return Labelled(table, self.labels[rows], self.times[rows])


_NONE: Final = Labelled(
    pd.DataFrame(columns=list(NAMES)), np.empty(0, dtype=int), np.empty(0, dtype="datetime64[s]")
)


class Fault(NamedTuple):
    """What is wrong with the row that begins at a line: `reason` is "field: reason"."""

    line: int
    reason: str


def read(file: BinaryIO, label: str, told: Callable[[int], object]) -> tuple[Labelled, list[Fault]]:
    """The good rows of a file in their order, and the faults of the others.

    `label` names the column of labels; `told` is called with the bytes read so far and again.
    Raises TableRefused when the file is no such table.
    """
    if label in FIELDS:
        raise TableRefused(f"{label} is a field of the reading and can't be the label")
    header = read_header(file)
    names = column_names(header)
    wanted = places(names, [*FIELDS, label])
    told(len(header))
    parts, faults = [], []
    for block in blocks(file, _BLOCK_LINES):
        part, found = _block(block, len(names), wanted, label)
        parts += part
        faults += found
        told(len(block.text))
    tables, labels, times = zip(*(parts or [_NONE]), strict=True)
    table = pd.concat(tables, ignore_index=True)
    return Labelled(table, np.concatenate(labels), np.concatenate(times)), faults


def _block(
    block: Block, width: int, wanted: Sequence[int], label: str
) -> tuple[list[Labelled], list[Fault]]:
    """The rows of a block as one part, none when it has no good row."""
    cells = read_cells(block, width)
    if not cells.rows:
        return [], []
    *fields, given = (cells.columns[at] for at in wanted)
    labels = np.array([_LABELS.get(cell, -1) for cell in given])
    checked = check(fields, _with_labels(cells, given, labels, label), max(map(len, cells.rows)))
    faults = [Fault(cells.lines[row], checked.faults[row]) for row in sorted(checked.faults)]
    good = np.array([row for row in range(len(cells.rows)) if row not in checked.faults], dtype=int)
    if not len(good):
        return [], faults
    times = np.array([_second(fields[_TIME][row]) for row in good], dtype="datetime64[s]")
    return [Labelled(_table(checked), labels[good], times)], faults


def _with_labels(cells: Cells, given: Sequence[bytes], labels: Array, label: str) -> dict[int, str]:
    unlabelled = np.flatnonzero(labels < 0).tolist()
    return {row: f"{label}: {_no_label(given[row])}" for row in unlabelled} | cells.faults


def _no_label(cell: bytes) -> str:
    text = cell.decode(errors="replace").strip().lower()
    if not text:
        return EMPTY
    return f"must be 0 or 1, not {text}" if text in _SHOWN else "must be 0 or 1"


def _table(checked: Checked) -> pd.DataFrame:
    """The features of all rows without a fault, in the order of the file."""
    maker, made = TableMaker(FEATURES), []
    if checked.columns:
        usual = maker.of_columns(checked.columns)
        made.append(usual.set_axis(np.flatnonzero(checked.usual)))
    if checked.unusual:
        unusual = maker.of_readings(list(checked.unusual.values()))
        made.append(unusual.set_axis(list(checked.unusual)))
    # Blocks have different categories, so that their codes would not go together.
    plain = [table.astype(dict.fromkeys(CATEGORICAL, object)) for table in made]
    return pd.concat(plain).sort_index(ignore_index=True)


def _second(cell: bytes) -> datetime:
    return datetime.fromisoformat(cell.decode()).replace(tzinfo=None, microsecond=0)
