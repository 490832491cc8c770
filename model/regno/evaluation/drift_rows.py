"""The readings of a file for a comparison of drift, and the reference that they make."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from model.drift.comparison import Rows
from model.drift.counter import OTHER, Variable
from model.errors import DataRefused
from model.regno.columns.checked import check
from model.regno.drift.reference import of_columns
from model.regno.request import FIELDS
from model.regno.scorer import RegnoScorer
from model.tables.cells import cells_of
from model.tables.options import Options
from model.tables.table import open_table

_PARCEL_ROWS: Final = 5_000
# Categories that callers send. Their rarer values share a bin: with the wrong columns they may be
# plates.
_SENT: Final = ("camera_type", "camera_class")
_LEAST_FREQUENT: Final = 0.01


def read(path: Path, scorer: RegnoScorer, options: Options) -> Rows:
    """The readings of a file in any form, with their features and scores.

    Raises OSError, TableRefused, and DataRefused for a file without a reading.
    """
    tables, positives, faults = [], [], Counter[str]()
    with open_table(path, FIELDS, options) as table:
        for parcel in table.parcels(_PARCEL_ROWS):
            cells = cells_of(parcel, table.layout)
            if not len(cells.lines):
                continue
            checked = check(cells.columns, cells.faults)
            faults.update(checked.faults.values())
            for _, columns in checked.pieces():
                features = scorer.table.of_columns(columns)
                tables.append(features)
                positives.append(scorer.predict_table(features)[:, 1])
        form = str(table.layout.format)
    if not tables:
        raise DataRefused(f"it holds no reading: {_all_bad(faults) or 'it has no row'}")
    return Rows(pd.concat(tables), np.concatenate(positives), faults, form)


def _all_bad(faults: Counter[str]) -> str:
    """What is wrong with the rows of a file without a reading, "" if it has no row."""
    return "".join(
        f"all of its {faults.total()} rows are bad, {count} × {reason}"
        for reason, count in faults.most_common(1)
    )


def reference_of(rows: Rows, scorer: RegnoScorer) -> list[Variable]:
    """The variables of rows as a reference, with bins of about equal shares."""
    columns = {str(name): column.tolist() for name, column in rows.features.items()}
    columns |= {name: _frequent(columns[name]) for name in _SENT if name in columns}
    return of_columns(columns, rows.positives.tolist(), scorer.importances())


def _frequent(column: Sequence[str]) -> list[str]:
    """A column of names in which rare values are `OTHER`."""
    counts = Counter(column)
    least = _LEAST_FREQUENT * len(column)
    return [value if counts[value] >= least else OTHER for value in column]
