"""Cells of a table in, scores out: what a bulk worker does."""

from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np

from model.bulk.outcome import Scored
from model.regno.columns.checked import check
from model.regno.scorer import BUNDLED, RegnoScorer
from model.tables.cells import Cells


def score_cells(model: str, cells: Cells, positive_class: str = "") -> Scored:
    """`negative` and `positive` of each row, NaN where it has a fault.

    `model` is the path of a .cbm file, "" for the bundled one, and `positive_class` as for
    `RegnoScorer.load`; `cells` has the columns of a reading's fields.
    Raises ModelRefused.
    """
    scorer = _scorer(model, positive_class)
    checked = check(cells.columns, cells.faults)
    scores = np.full((len(checked.usual), 2), np.nan)
    warnings: Counter[str] = Counter()
    for rows, columns in checked.pieces():
        table = scorer.table.of_columns(columns)
        scores[rows] = scorer.predict_table(table)
        warnings.update(scorer.count_warnings(columns, table))
    new = {"negative": scores[:, 0], "positive": scores[:, 1]}
    return Scored(new, checked.faults, dict(warnings))


@lru_cache(1)
def _scorer(path: str, positive_class: str) -> RegnoScorer:
    return RegnoScorer.load(Path(path) if path else BUNDLED, positive_class, warm=True)
