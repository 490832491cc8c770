"""Labelled decisions as a file that `python -m model.train` takes.

Only what was known in time counts: a label that came later than the cut does not belong to a
decision before it, as it would not have been there for a model of that time.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import TextIOWrapper
from math import inf
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from service.decisions.choice import Condition
from service.decisions.decision import Decision, decode
from service.decisions.log import DecisionLog, Forgotten
from service.decisions.quality import NETWORK, Labelled
from service.decisions.store import Row

# Columns beside the fields of a request; `model.train` ignores the others.
LABEL: Final = "label"
WEIGHT: Final = "weight"
SUFFIXES: Final = (".csv", ".parquet")


class Known(NamedTuple):
    """Until when labels count: before `until`, and before `cut` for a decision before that."""

    until: float = inf
    cut: float | None = None

    def is_early(self, decided: float) -> bool:
        """Whether a decision of that time is before the cut, or there is none."""
        return self.cut is None or decided < self.cut

    def counts(self, decided: float, given: float) -> bool:
        """Whether a label of that time belongs to a decision of that time."""
        is_known = self.cut is None or decided >= self.cut or given < self.cut
        return is_known and given < self.until


class Example(NamedTuple):
    """A labelled decision: its time, its request as JSON, and all cells of its row."""

    time: float
    request: bytes
    cells: dict[str, Any]


class Examples(NamedTuple):
    """Labelled decisions, each request once, and why others were left out."""

    found: list[Example]
    left_out: Counter[str]


def examples(log: DecisionLog, chosen: Condition, known: Known) -> Examples:
    """The labelled decisions that a condition chooses, in the order of the log."""
    left_out: Counter[str] = Counter()
    found, seen = [], set()
    for row, outcome in _labelled(log, chosen, known, left_out):
        weight = Labelled(row.decision, outcome, row.audited).weight
        if not weight:
            left_out["no audit drew them"] += 1
            continue
        try:
            request = _request(log, row)
        except Forgotten:
            left_out["forgotten"] += 1
            continue
        digest = sha256(request).digest()
        if digest in seen:
            left_out["repeat another"] += 1
            continue
        seen.add(digest)
        found.append(Example(row.time, request, _cells(row, request, outcome, weight)))
    return Examples(found, left_out)


def write(path: Path, rows: Sequence[Example]) -> None:
    """Write some rows to a file that appears whole, readable for its owner alone.

    Raises OSError.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            (_write_parquet if path.suffix == ".parquet" else _write_csv)(file, rows)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _labelled(
    log: DecisionLog, chosen: Condition, known: Known, left_out: Counter[str]
) -> Iterator[tuple[Row, str]]:
    """Decisions with the latest outcome that was known in time."""
    outcomes: dict[int, str] = {}
    late: set[int] = set()
    decisions: dict[int, Row] = {}
    for said in log.store.rows("kind = 'feedback'"):
        row = _decision_of(log, said, chosen)
        if row is None:
            continue
        decisions[row.entry] = row
        if known.counts(row.time, said.time):
            outcomes[row.entry] = said.decision
        else:
            late.add(row.entry)
    left_out["labels came too late"] += len(late - outcomes.keys())
    for entry in sorted(outcomes):
        yield decisions[entry], outcomes[entry]


def _decision_of(log: DecisionLog, said: Row, chosen: Condition) -> Row | None:
    """The decision that feedback is about, if it is chosen."""
    named = "kind = 'decision' AND request_id = ? AND row = ? AND idx < ?"
    values = (said.request_id, said.row, said.entry)
    # An id may be used again: the latest one before the feedback is meant.
    row = next(log.store.rows(named, *values, order="idx DESC"), None)
    if row is None:
        return None
    return next(log.store.rows(f"idx = ? AND {chosen.text}", row.entry, *chosen.values), None)


def _request(log: DecisionLog, row: Row) -> bytes:
    entry = decode(log.canonical(row))
    if not isinstance(entry, Decision):
        raise TypeError(type(entry).__name__)
    return bytes(entry.request)


def _cells(row: Row, request: bytes, outcome: str, weight: float) -> dict[str, Any]:
    return {
        **msgspec.json.decode(request),
        LABEL: int(outcome == NETWORK),
        WEIGHT: weight,
        "request_id": row.request_id,
        "row": row.row,
        "version": row.version,
        "positive": row.positive,
    }


def _write_csv(file: BinaryIO, rows: Sequence[Example]) -> None:
    with TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0].cells))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.cells.items()} for row in rows)


def _cell(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def _write_parquet(file: BinaryIO, rows: Sequence[Example]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - takes memory, and most commands need it not
    import pyarrow.parquet as pq  # noqa: PLC0415

    pq.write_table(pa.Table.from_pylist([row.cells for row in rows]), file)
