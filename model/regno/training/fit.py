"""Fitting: from readings to a trained CatBoost classifier.

The table is built by the same features code that serves, so the two can't drift apart.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, Pool
from tqdm import tqdm

from model.cli import SignalFlag
from model.regno.features import CATEGORICAL, KINDS, NAMES, Row, in_order_of
from model.regno.model_file import vocabulary
from model.regno.request import from_fields
from model.regno.training.simulate import Sample

# Symbols and pairs of neighbours. The alphabet is small: these sizes cut nothing off, and
# CatBoost's defaults would only add hundreds of pair columns to the search of each tree.
TEXT_PROCESSING: Final = {
    "tokenizers": [{"tokenizer_id": "Space", "delimiter": " "}],
    "dictionaries": [
        {"dictionary_id": "Symbol", "gram_order": "1", "max_dictionary_size": "64"},
        {"dictionary_id": "Pair", "gram_order": "2", "max_dictionary_size": "1000"},
    ],
    "feature_processing": {
        "default": [
            {
                "tokenizers_names": ["Space"],
                "dictionaries_names": ["Symbol"],
                "feature_calcers": ["BoW", "NaiveBayes"],
            },
            {
                "tokenizers_names": ["Space"],
                "dictionaries_names": ["Pair"],
                "feature_calcers": ["NaiveBayes"],
            },
        ]
    },
}
# Sums of floats depend on how rows are split over threads: a fixed count keeps them the same.
THREADS: Final = 2
PARAMETERS: Final[Mapping[str, Any]] = {
    "iterations": 87,
    "depth": 10,
    # With smaller steps, this few trees stop short and the probabilities stay too timid.
    "learning_rate": 0.35,
    "l2_leaf_reg": 1.0,
    "leaf_estimation_iterations": 10,
    # Single categories only: combinations would fill the file with their tables.
    "max_ctr_complexity": 1,
    "text_processing": TEXT_PROCESSING,
}


class Run(NamedTuple):
    """What is drawn and checked while CatBoost trains.

    `title` is that of the progress bar. `signals` and `watch` are checked after each tree: `watch`
    gets what CatBoost passes to callbacks, and training ends when it returns False.
    """

    title: str = "Training"
    progress: bool = True
    signals: SignalFlag = SignalFlag()
    watch: Callable[[Any], bool] = lambda _: True


class _Progress:
    """CatBoost's callback: one step of the bar for each tree."""

    def __init__(self, bar: "tqdm[Any]", run: Run) -> None:
        self._bar = bar
        self._run = run

    def after_iteration(self, info: object) -> bool:
        """Whether to go on."""
        self._bar.update()
        return not self._run.signals and self._run.watch(info)


def table(samples: Sequence[Sample], names: Sequence[str] = NAMES) -> list[Row]:
    """The named features of each sample, in that order."""
    row = in_order_of(names)
    return [row(from_fields(**sample.request)) for sample in samples]


def labels(samples: Sequence[Sample]) -> np.ndarray:
    """1 where the network's reading is the true one, else 0. Shape (samples,)."""
    return np.array([sample.label for sample in samples])


def vocabularies(samples: Sequence[Sample]) -> dict[str, list[str]]:
    """For each categorical feature the sorted values that occur in the samples."""
    columns = zip(*table(samples, CATEGORICAL), strict=True)
    return {
        name: vocabulary.names(map(str, column))
        for name, column in zip(CATEGORICAL, columns, strict=True)
    }


def train(
    rows: Pool,
    seed: int,
    parameters: Mapping[str, Any] = PARAMETERS,
    *,
    run: Run = Run(),  # noqa: B008 - a tuple
) -> CatBoostClassifier:
    """A classifier of a pool, whose labels must be of both kinds.

    The same rows, seed and parameters on the same kind of machine give the same
    predictions to the last bit. The saved bytes differ each time nevertheless: CatBoost
    writes a random model id, the time, and random ids of dictionaries into the file.
    """
    options = {**parameters, "random_seed": seed, "thread_count": THREADS}
    return fit(rows, options, run=run)


def pool(
    rows: Sequence[Row] | pd.DataFrame,
    marks: np.ndarray,
    names: Sequence[str] = NAMES,
    weights: np.ndarray | None = None,
) -> Pool:
    """Rows of the named features in that order, with their labels, for CatBoost.

    `marks` and `weights` have shape (rows,); without weights each row counts once.
    """
    return Pool(
        rows,
        marks,
        weight=weights,
        feature_names=list(names),
        cat_features=[name for name in names if KINDS[name] == "categorical"],
        text_features=[name for name in names if KINDS[name] == "text"],
    )


def fit(
    rows: Pool,
    options: Mapping[str, Any],
    validation: Pool | None = None,
    run: Run = Run(),  # noqa: B008 - a tuple
) -> CatBoostClassifier:
    """A classifier of a pool by CatBoost's options, of which `iterations` must be one.

    With validation rows the trees after the best one are cut off. A progress bar is drawn
    when standard error is a terminal, unless the run wants none. Raises Exit once one of its
    signals has arrived.
    """
    model = CatBoostClassifier(
        **options,
        allow_writing_files=False,
        verbose=False,
    )
    disable = None if run.progress else True
    bar = tqdm(total=options["iterations"], desc=run.title, unit="tree", disable=disable)
    # An Exit within a callback becomes an error of CatBoost's: the callback ends the training.
    with run.signals.deferred(), bar:
        model.fit(rows, eval_set=validation, callbacks=[_Progress(bar, run)])
    return model
