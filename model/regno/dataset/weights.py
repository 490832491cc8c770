"""Weights of rows, as a column of a file holds them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from model.errors import DataRefused
from model.names import printable
from model.redaction import redact

Array: TypeAlias = np.ndarray[Any, Any]


def weights_of(cells: Sequence[str], column: str, where: Callable[[int], str]) -> Array:
    """The weights of rows, shape (rows,), from the cells of a column; `where` names a row.

    A row of weight 0 has no influence. Raises DataRefused for a cell that is not a
    number of at least 0, or if all are 0.
    """
    plain = pd.Series(cells, dtype=object).str.strip().str.replace(",", ".")
    weights = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong.size:
        first = int(wrong[0])
        raise DataRefused(
            f"{column}: {wrong.size} of {len(weights)} rows have no number of at least 0, first "
            f"{where(first)}: {printable(redact(cells[first]))}"
        )
    if not weights.any():
        raise DataRefused(f"{column}: all weights are 0")
    return weights
