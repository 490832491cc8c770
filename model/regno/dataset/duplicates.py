"""Rows that occur more than once: figures and intervals of such rows look better than they are."""

from typing import NamedTuple

import pandas as pd

from model.regno.dataset.rows import LabelledRows


class Duplicates(NamedTuple):
    """How many rows repeat an earlier one, and how many have another row's features but not label.

    Two rows are the same if all their features and their times are.
    """

    repeated: int
    contradicting: int


def duplicates(rows: LabelledRows) -> Duplicates:
    """Counts the duplicates among rows."""
    # Hashes of 64 bits: of a million rows two different ones collide with a chance of 3e-8.
    same = pd.util.hash_pandas_object(rows.table.assign(time_check=rows.times), index=False)
    keys = pd.DataFrame({"same": same.to_numpy(), "label": rows.labels})
    labels = keys.groupby("same")["label"].transform("nunique")
    return Duplicates(int(keys.duplicated().sum()), int((labels > 1).sum()))
