"""Parquet files on disk, which need no server.

    decisions/day=2026-11-30/00000007.parquet   rows by day, and by piece of the log
    labels/00000007.parquet                     labels of the decisions of that piece
    position.json                               how far it is

A file is replaced by a whole one, never changed: a reader has the old one or the new one.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from service.decisions.stores.rows import AnalysisRow, Batch, Label
from service.decisions.stores.store import Position

if not sys.modules.get("pyarrow", True):
    del sys.modules["pyarrow"]  # a service keeps it from pandas so
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER: Final = "analysis"
DECISIONS: Final = "decisions"
LABELS: Final = "labels"
_POSITION: Final = "position.json"
# Entries of the log by file: as many rows are written anew for each batch, at most.
_ENTRIES: Final = 16_384
# In UTC. With a zone in its type, DuckDB would need an extension to group it by day.
_TIME: Final = pa.timestamp("us")
_TYPES: "Final[Mapping[Any, pa.DataType]]" = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: _TIME,
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
    list[str]: pa.list_(pa.string()),
}


def _schema(kind: type[tuple[Any, ...]]) -> pa.Schema:
    return pa.schema([(name, _TYPES[of]) for name, of in kind.__annotations__.items()])


SCHEMAS: Final = {DECISIONS: _schema(AnalysisRow), LABELS: _schema(Label)}


class ParquetStore:
    """The files of a folder."""

    name = "parquet"
    batch_entries = _ENTRIES
    batch_seconds = 5.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def position(self) -> Position:
        """How far it is. Raises OSError and msgspec's DecodeError."""
        with suppress(FileNotFoundError):
            content = (self._folder / _POSITION).read_bytes()
            return msgspec.json.decode(content, type=Position)
        return Position()

    def commit(self, position: Position) -> None:
        """Keep how far it is. Raises OSError."""
        content = msgspec.json.encode(position)
        _replace(self._folder / _POSITION, lambda file: file.write(content))

    def append(self, batch: Batch) -> None:
        """Add rows and labels to the files that they belong to. Raises OSError."""
        by_file: defaultdict[Path, list[AnalysisRow]] = defaultdict(list)
        for row in batch.rows:
            by_file[self._of(row)].append(row)
        for path, rows in by_file.items():
            _put(path, DECISIONS, rows)
        labels: defaultdict[Path, dict[int, Label]] = defaultdict(dict)
        for label in batch.labels:
            labels[self._labels_of(label.entry)][label.entry] = label
        for path, latest in labels.items():
            _put(path, LABELS, list(latest.values()))

    def remove(self, entries: Sequence[int]) -> None:
        """Write the files with these decisions anew, without them. Raises OSError."""
        by_piece: defaultdict[int, list[int]] = defaultdict(list)
        for entry in entries:
            by_piece[entry // _ENTRIES].append(entry)
        for piece, among in by_piece.items():
            for path in (*self._files(_name(piece)), self._labels_of(among[0])):
                _filter(path, partial(_without, entries=among))

    def retain(self, days: int) -> None:
        """Remove rows that are older. Raises OSError."""
        before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
        for path in [*self._files("*.parquet"), *(self._folder / LABELS).glob("*.parquet")]:
            day = path.parent.name.removeprefix("day=")
            if path.parent.name == LABELS or day <= f"{before:%Y-%m-%d}":
                _filter(path, lambda table: table.filter(pc.field("time") >= before))

    def close(self) -> None:
        """Nothing is open."""

    def _files(self, pattern: str) -> Iterator[Path]:
        return (self._folder / DECISIONS).glob(f"day=*/{pattern}")

    def _of(self, row: AnalysisRow) -> Path:
        day = f"day={row.time:%Y-%m-%d}"
        return self._folder / DECISIONS / day / _name(row.entry // _ENTRIES)

    def _labels_of(self, entry: int) -> Path:
        return self._folder / LABELS / _name(entry // _ENTRIES)


def _name(piece: int) -> str:
    return f"{piece:08}.parquet"


def _put(path: Path, kind: str, rows: Sequence[AnalysisRow] | Sequence[Label]) -> None:
    """Add rows to a file, in the place of those of the same entries."""
    added = pa.Table.from_pylist([row._asdict() for row in rows], SCHEMAS[kind])
    with suppress(FileNotFoundError):
        added = pa.concat_tables([_without(_read(path), [row.entry for row in rows]), added])
    _write(path, added)


def _filter(path: Path, kept: "Callable[[pa.Table], pa.Table]") -> None:
    """Write a file anew with what is kept of it, or remove it, if that is nothing."""
    try:
        before = _read(path)
    except FileNotFoundError:
        return
    after = kept(before)
    if not after.num_rows:
        _aside(path).unlink(missing_ok=True)  # a killed sink leaves rows there
        path.unlink()
        with suppress(OSError):  # others are in it
            path.parent.rmdir()
    elif after.num_rows < before.num_rows:
        _write(path, after)


def _without(table: pa.Table, entries: Sequence[int]) -> pa.Table:
    return table.filter(~pc.field("entry").isin(pa.array(entries, pa.int64())))


def _read(path: Path) -> pa.Table:
    # A path would be taken for one of a data set, with a column of its day.
    with path.open("rb") as file:
        return pq.read_table(file)


def _write(path: Path, table: pa.Table) -> None:
    _replace(path, lambda file: pq.write_table(table, file, compression="zstd"))


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _replace(path: Path, write: "Callable[[Any], object]") -> None:
    """Write a file that appears whole, for this user alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = _aside(path)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
