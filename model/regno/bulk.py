"""A block of a CSV file in, the same rows with their scores out: what a bulk worker does."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from model.bulk.header import layout
from model.bulk.outcome import Outcome
from model.regno.columns.csv_rows import Checked, check
from model.regno.request import FIELDS
from model.regno.scorer import BUNDLED, RegnoScorer
from model.tables.blocks import Block
from model.tables.csv_cells import read_cells

ADDED: Final = ("negative", "positive", "error")


def score_block(model: str, header: bytes, block: Block, positive_class: str = "") -> Outcome:
    """The rows of a block with `ADDED` cells, as UTF-8 text of a CSV file.

    `model` is the path of a .cbm file, "" for the bundled one, and `positive_class` as for
    `RegnoScorer.load`; `header` is the file's first line, whose line end all rows get. A row
    that can't be scored has an error instead. Raises TableRefused or ModelRefused.
    """
    scorer, file = _scorer(model, positive_class), layout(header, FIELDS, ADDED)
    cells = read_cells(block, file.width)
    if not cells.rows:
        return Outcome(file.header, b"", 0, {}, {})
    columns = [cells.columns[at] for at in file.wanted]
    checked = check(columns, cells.faults)
    scores, warnings = _scores(scorer, checked)
    text = _text(cells.rows, scores, checked.faults, file.end)
    faults = Counter(checked.faults.values())
    return Outcome(file.header, text, len(cells.rows), faults, warnings)


@lru_cache(1)
def _scorer(path: str, positive_class: str) -> RegnoScorer:
    return RegnoScorer.load(Path(path) if path else BUNDLED, positive_class, warm=True)


def _scores(scorer: RegnoScorer, checked: Checked) -> tuple[np.ndarray[Any, Any], dict[str, int]]:
    """[negative, positive] for each row, NaN for faulty ones; and in how many each warning is."""
    scores = np.full((len(checked.usual), 2), np.nan)
    warnings: Counter[str] = Counter()
    for rows, columns in checked.pieces():
        table = scorer.table.of_columns(columns)
        scores[rows] = scorer.predict_table(table)
        warnings.update(scorer.count_warnings(columns, table))
    return scores, dict(warnings)


def _text(
    rows: Sequence[bytes], scores: np.ndarray[Any, Any], faults: dict[int, str], end: bytes
) -> bytes:
    # One call for all numbers, several times as quick as repr: the shortest text that gives
    # the same double again, as in the replies over HTTP.
    added = msgspec.json.encode(scores.tolist())[2:-2].split(b"],[")
    # The last cell of each row: no error, or the closing quote of one.
    ends = [b"," + end] * len(rows)
    for row, fault in faults.items():
        added[row] = b',,"' + fault.replace('"', '""').encode()
        ends[row] = b'"' + end
    return b"".join(chain.from_iterable(zip(rows, repeat(b","), added, ends, strict=False)))
