"""Rows split by time: the oldest train, the next ones stop the training, the newest are held out.

A model is used on readings that come after those it learnt from, and is measured so here.
"""

from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from msgspec import Meta, Struct

from model.errors import DataRefused
from model.regno.dataset.rows import LabelledRows

Array: TypeAlias = np.ndarray[Any, Any]

LEAST_ROWS: Final = 200
# Of fewer rows neither a log loss nor an AUC says anything.
LEAST_PART: Final = 20


Share = Annotated[float, Meta(ge=0.01, le=0.8)]


class SplitShares(Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the rows by time; the rest, which is the oldest, trains."""

    validation: Share
    held_out: Share


class Split(NamedTuple):
    """Three parts, each in the order of time; rows of one second are in one part."""

    train: LabelledRows
    validation: LabelledRows
    held_out: LabelledRows

    def joined(self) -> LabelledRows:
        """All rows in the order of time."""
        table = pd.concat([part.table for part in self], ignore_index=True)
        labels = np.concatenate([part.labels for part in self])
        weights = [part.weights for part in self if part.weights is not None]
        times = np.concatenate([part.times for part in self])
        return LabelledRows(table, labels, times, np.concatenate(weights) if weights else None)


def by_time(rows: LabelledRows, shares: SplitShares) -> Split:
    """Split rows, in whatever order they are, as near to the shares as seconds allow.

    Raises DataRefused when a part would be too small, or have one kind of label only.
    """
    if len(rows.labels) < LEAST_ROWS:
        raise DataRefused(f"it has {len(rows.labels)} good rows, at least {LEAST_ROWS} are needed")
    _check_labels("", rows.labels)
    order = np.argsort(rows.times, kind="stable")
    cuts = _cuts(rows.times[order], shares)
    split = Split(*(rows.at(part) for part in np.split(order, cuts)))
    for name, part in zip(Split._fields, split, strict=True):
        _check_part(name.replace("_", "-"), part)
    return split


def _cuts(times: Array, shares: SplitShares) -> list[int]:
    """Where the second and the third part begin: each at a new second."""
    begins = np.flatnonzero(times[1:] != times[:-1]) + 1
    if len(begins) < 2:
        raise DataRefused(
            f"its rows are of {len(begins) + 1} different seconds by time_check; "
            "to split them by time into three parts takes more"
        )
    held_out = round(len(times) * (1 - shares.held_out))
    validation = round(len(times) * (1 - shares.held_out - shares.validation))
    last = _nearest(begins[1:], held_out)
    return [_nearest(begins[begins < last], validation), last]


def _nearest(places: Array, wanted: int) -> int:
    return int(places[np.abs(places - wanted).argmin()])


def _check_part(name: str, part: LabelledRows) -> None:
    where = f" among the {name} rows ({part.times[0]} to {part.times[-1]})"
    if len(part.labels) < LEAST_PART:
        raise DataRefused(
            f"there would be {len(part.labels)} rows{where}, at least {LEAST_PART} are needed"
        )
    # The held-out rows count once each, whatever their weights.
    if part.weights is None or name == "held-out":
        _check_labels(where, part.labels)
    else:
        _check_labels(where, part.labels[part.weights > 0])


def _check_labels(where: str, labels: Array) -> None:
    if not labels.size:
        raise DataRefused(f"all weights{where} are 0: nothing can be learnt")
    if (labels == labels[0]).all():
        raise DataRefused(f"all {len(labels)} labels{where} are {labels[0]}: nothing can be learnt")
