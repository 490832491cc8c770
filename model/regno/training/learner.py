"""Fitting labelled rows by the parameters of a run, with its signals and progress bar."""

from typing import Any, Final, NamedTuple

import pandas as pd
from catboost import CatBoostClassifier, CatBoostError, Pool

from model.errors import DataRefused
from model.regno.dataset.rows import LabelledRows
from model.regno.features import TEXT
from model.regno.training import fit
from model.regno.training.fit import Run
from model.regno.training.parameters import Parameters

# What only training with validation rows takes.
_STOPPING: Final = "early_stopping_rounds"


class Learner(NamedTuple):
    """How to train: parameters, seed, and what is drawn and checked meanwhile."""

    parameters: Parameters
    seed: int
    run: Run

    @property
    def names(self) -> list[str]:
        """The features that are trained on."""
        return self.parameters.features.names

    def table(self, rows: LabelledRows) -> pd.DataFrame:
        """The chosen features of rows."""
        return rows.table[self.names]

    def fit_until_best(self, train: LabelledRows, validation: LabelledRows) -> CatBoostClassifier:
        """A classifier of `train`, cut off after its best tree by `validation`.

        Raises DataRefused, and Exit after a signal.
        """
        return self._fit(train, {"use_best_model": True}, self._pool(validation))

    def fit_trees(self, rows: LabelledRows, trees: int) -> CatBoostClassifier:
        """A classifier of all the rows with so many trees. Raises DataRefused, and Exit."""
        return self._fit(rows, {"iterations": trees}, None)

    def _fit(
        self, rows: LabelledRows, options: dict[str, Any], validation: Pool | None
    ) -> CatBoostClassifier:
        _check_texts(rows, self.names)
        options = self.parameters.catboost.options() | {"random_seed": self.seed} | options
        if validation is None:
            del options[_STOPPING]
        if set(self.names) & set(TEXT):
            options["text_processing"] = fit.TEXT_PROCESSING
        try:
            return fit.fit(self._pool(rows), options, validation, self.run)
        except CatBoostError as error:
            raise DataRefused(f"CatBoost can't train on it: {error}") from error

    def _pool(self, rows: LabelledRows) -> Pool:
        return fit.pool(self.table(rows), rows.labels, self.names, rows.weights)


def _check_texts(rows: LabelledRows, names: list[str]) -> None:
    """CatBoost fails on a text that is always empty, with a message about its internals."""
    for name in TEXT:
        if name in names and not rows.table[name].any():
            raise DataRefused(f"{name.removesuffix('_text')} is empty in all training rows")
