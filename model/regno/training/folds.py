"""Rolling-origin cross-validation: several models, each held against the rows that came next.

The windows of held-out rows are as large as the newest one, and follow each other. Each model
learns from all rows before its window, as it would have in its time (Hyndman and Athanasopoulos,
Forecasting: Principles and Practice, 3rd edition, section 5.10).
"""

from typing import Any, Final, TypeAlias

import numpy as np

from model.errors import DataRefused, ParametersRefused
from model.regno.dataset.rows import LabelledRows
from model.regno.dataset.split import Split, SplitShares, by_time
from model.regno.evaluation import metrics, report
from model.regno.evaluation.report import Fold
from model.regno.training.measuring import Job, Measured, trained

Array: TypeAlias = np.ndarray[Any, Any]

# What the oldest model needs to learn from, as a share of all rows.
_LEAST_TRAINED: Final = 0.1


def check(count: int, shares: SplitShares) -> None:
    """Raises ParametersRefused if so many windows leave too few rows to train on."""
    most = int((1 - _LEAST_TRAINED - shares.validation) / shares.held_out + 1e-9)
    if count > most:
        raise ParametersRefused(
            f"--folds {count} is refused: with split.held_out {shares.held_out:g} and "
            f"split.validation {shares.validation:g} there is room for {most}"
        )


def measured(rows: LabelledRows, job: Job, newest: Measured) -> list[Fold]:
    """The windows from old to new, none for a single one; `newest` is already measured.

    Raises DataRefused, naming the window, and Exit.
    """
    if job.folds < 2:
        return []
    order = np.argsort(rows.times, kind="stable")
    windows = []
    for number in range(1, job.folds):
        run = job.learner.run._replace(title=f"Fold {number} of {job.folds}")
        part = job._replace(learner=job.learner._replace(run=run))
        try:
            split = _split(rows, order, job.folds - number, job.learner.parameters.split)
            windows.append(_fold(split, trained(split, part)))
        except DataRefused as error:
            raise DataRefused(f"fold {number} of {job.folds}: {error}") from error
    return [*windows, _fold(by_time(rows, job.learner.parameters.split), newest)]


def _split(rows: LabelledRows, order: Array, later: int, shares: SplitShares) -> Split:
    """The split of all rows but those of the `later` windows that follow."""
    held_out, validation = (round(len(order) * s) for s in (shares.held_out, shares.validation))
    kept = len(order) - later * held_out
    return by_time(rows.at(order[:kept]), SplitShares(validation / kept, held_out / kept))


def _fold(split: Split, of: Measured) -> Fold:
    part = report.part(split.held_out)
    return Fold(
        trained_on=len(split.train.labels),
        rows=part.rows,
        first=part.first,
        last=part.last,
        trees=of.trees.kept,
        metrics=metrics.measures(split.held_out.labels, of.positives),
    )
