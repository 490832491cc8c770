"""The learning curve: models of ever more training rows, all measured on the same held-out rows.

It shows whether more rows would help. Each part is a random half of the next larger one, from all
of the training period: the newest half alone would differ in more than its size.
"""

from typing import Any, Final, TypeAlias

import numpy as np

from model.errors import DataRefused
from model.regno.dataset.split import Split
from model.regno.evaluation import quality
from model.regno.evaluation.bootstrap import differences
from model.regno.evaluation.quality import Scored
from model.regno.evaluation.report import LearningCurve, LearningPoint
from model.regno.training.measuring import Job, Measured, trained

Array: TypeAlias = np.ndarray[Any, Any]

# A model of fewer rows says nothing about one of all.
LEAST_ROWS: Final = 100


def check(points: int, training_rows: int) -> None:
    """Raises DataRefused if the smallest part of so many points would be too small."""
    if not points or training_rows >> (points - 1) >= LEAST_ROWS:
        return
    most = 1 + max(0, (training_rows // LEAST_ROWS).bit_length() - 1)
    remedy = f"--learning-curve {most} is the most" if most > 1 else "there are too few"
    raise DataRefused(
        f"--learning-curve {points}: the smallest part of the {training_rows} training rows would "
        f"have {training_rows >> (points - 1)}, at least {LEAST_ROWS} are needed: {remedy}"
    )


def measured(split: Split, job: Job, whole: Measured) -> LearningCurve | None:
    """The curve of as many points as the job asks for; `whole` is the model of all training rows.

    Raises DataRefused, naming the part, and Exit.
    """
    if not job.learning_curve:
        return None
    rows = len(split.train.labels)
    order = np.random.default_rng(job.learner.seed).permutation(rows)
    points, half = [], whole
    for number in range(1, job.learning_curve):
        size = rows >> (job.learning_curve - number)
        part = split._replace(train=split.train.at(np.sort(order[:size])))
        run = job.learner.run._replace(title=f"Part {number} of {job.learning_curve}")
        learner = job.learner._replace(run=run)
        try:
            half = trained(part, job._replace(learner=learner))
        except DataRefused as error:
            raise DataRefused(f"a part of {size} training rows: {error}") from error
        points.append(_point(size, part, half, job.learner.seed))
    return LearningCurve(
        points=[*points, _point(rows, split, whole, job.learner.seed)],
        doubling=differences(
            split.held_out.labels, whole.positives, half.positives, job.learner.seed
        ),
    )


def _point(rows: int, split: Split, of: Measured, seed: int) -> LearningPoint:
    scored = Scored(split.held_out.labels, of.positives)
    return LearningPoint(rows, of.trees.kept, quality.intervals(scored, seed))
