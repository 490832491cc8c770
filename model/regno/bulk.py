"""Cells of a table in, scores out: what a bulk worker does."""

import threading
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from model.bulk.outcome import Scored
from model.regno.columns.checked import check
from model.regno.scorer import BUNDLED, RegnoScorer
from model.tables.cells import Cells

# The first parcels come at once, and the model should be loaded for one of them only.
_one_load_at_a_time: Final = threading.Lock()


def score_cells(model: str, cells: Cells, positive_class: str = "", *, threads: int = 1) -> Scored:
    """`negative` and `positive` of each row, NaN where it has a fault.

    `model` is the path of a .cbm file, "" for the bundled one, and `positive_class` as for
    `RegnoScorer.load`; `cells` has the columns of a reading's fields. `threads` is how many
    threads a prediction takes; calls take turns at it. Raises ModelRefused.
    """
    with _one_load_at_a_time:
        scorer = _scorer(model, positive_class)
    checked = check(cells.columns, cells.faults)
    scores = np.full((len(checked.usual), 2), np.nan)
    warnings: Counter[str] = Counter()
    for rows, columns in checked.pieces():
        table = scorer.table.of_columns(columns)
        scores[rows] = scorer.predict_table(table, threads)
        warnings.update(scorer.count_warnings(columns, table))
    new = {"negative": scores[:, 0], "positive": scores[:, 1]}
    return Scored(new, checked.faults, dict(warnings))


@lru_cache(1)
def _scorer(path: str, positive_class: str) -> RegnoScorer:
    return RegnoScorer.load(Path(path) if path else BUNDLED, positive_class, warm=True)
