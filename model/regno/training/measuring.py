"""A model trained on the older rows of a split, and its probabilities of the newer ones."""

from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from catboost import CatBoostClassifier

from model.errors import DataRefused, ModelRefused
from model.regno.dataset.split import Split
from model.regno.evaluation.report import Search, Source, Trees
from model.regno.model_file.calibration import Calibration
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.review.decision import DEFAULT_COSTS, Costs
from model.regno.scorer import RegnoScorer
from model.regno.training import calibrators
from model.regno.training.calibrators import Method
from model.regno.training.learner import Learner

Array: TypeAlias = np.ndarray[Any, Any]


class Job(NamedTuple):
    """How to train, what the rows came from, and the model to compare with, if any.

    `refit`: the model that is kept is trained again on all rows, after measuring. `calibrate`
    is how probabilities are calibrated, if at all. `folds` is the number of windows that are
    held out, one after the other. `learning_curve` is the number of points of a learning curve, 0
    for none. `trials` is how many trainings a search for parameters makes,
    kept in the file `study` if there is one, and `search` how it went. `started` is when the run
    began, by the monotonic clock. `costs` are those of the report's decisions.
    """

    learner: Learner
    source: Source
    against: RegnoScorer | None = None
    refit: bool = False
    calibrate: Method | None = None
    folds: int = 0
    learning_curve: int = 0
    trials: int = 0
    study: Path | None = None
    search: Search | None = None
    started: float = 0.0
    costs: Costs = DEFAULT_COSTS


class Measured(NamedTuple):
    """A trained model, and the probabilities that it gives, shape (rows,).

    `validation` and `uncalibrated` are those of CatBoost, of the validation and the held-out rows;
    `positives` those of the held-out rows that would be served.
    """

    model: BinaryModel
    trees: Trees
    validation: Array
    uncalibrated: Array
    positives: Array
    calibration: Calibration | None


def measure(model: BinaryModel, trees: Trees, split: Split, job: Job) -> Measured:
    """What a model that was trained by a split gives its newer rows. Raises DataRefused."""
    validation, positives = (
        model.probabilities_of_table(job.learner.table(part))[:, 1]
        for part in (split.validation, split.held_out)
    )
    calibration = None
    if job.calibrate:
        calibration = calibrators.fit(job.calibrate, split.validation.labels, validation)
    calibrated = calibration.apply(positives) if calibration else positives
    return Measured(model, trees, validation, positives, calibrated, calibration)


def trained(split: Split, job: Job) -> Measured:
    """A model that is trained by a split and kept in no file. Raises DataRefused, and Exit."""
    fitted = job.learner.fit_until_best(split.train, split.validation)
    try:
        model = BinaryModel(fitted)
    except ModelRefused as reason:
        raise DataRefused(f"the trained model can't be served: {reason}") from reason
    return measure(model, trees_of(fitted, job.learner), split, job)


def trees_of(fitted: CatBoostClassifier, learner: Learner) -> Trees:
    """How a training with validation rows ended."""
    options = learner.parameters.catboost
    last = fitted.get_best_iteration() + options.early_stopping_rounds
    return Trees(options.iterations, fitted.tree_count_, last < options.iterations)
