"""Weights of rows, as a column of a file holds them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from model.errors import DataRefused

Array: TypeAlias = np.ndarray[Any, Any]


def weights_of(cells: Sequence[str], column: str) -> Array:
    """The weights of rows, shape (rows,), from the cells of a column.

    Raises DataRefused if a cell is no number above 0.
    """
    plain = pd.Series(cells, dtype=object).str.strip().str.replace(",", ".")
    weights = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=float)
    wrong = int((~(np.isfinite(weights) & (weights > 0))).sum())
    if wrong:
        raise DataRefused(f"{column}: {wrong} of {len(weights)} rows have no number above 0")
    return weights
