"""The quality of an existing model on labelled rows, as one report."""

from collections.abc import Mapping
from math import nan
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct

from model.regno.dataset.late_labels import Joined
from model.regno.evaluation import bootstrap, decisions, metrics
from model.regno.evaluation.bootstrap import LEAST_OF_A_LABEL, LEAST_ROWS, Interval, fewest, too_few
from model.regno.evaluation.certainty import Certainty
from model.regno.evaluation.comparison import Comparison
from model.regno.evaluation.decisions import DecisionReport, Decisions
from model.regno.evaluation.report import LEAST_CLASS, OTHERS, Source
from model.regno.evaluation.risk_control import Limits, RiskControl, Simulation
from model.regno.review.decision import Costs, Thresholds

Array: TypeAlias = np.ndarray[Any, Any]

# Groups of a column that are shown by name: the largest.
MOST_GROUPS: Final = 40
EMPTY: Final = "(empty)"


class Scored(NamedTuple):
    """Labelled rows and the scores of a model: labels 0 or 1, positives 0 to 1, shape (rows,)."""

    labels: Array
    positives: Array


class Segment(Struct, frozen=True):
    """The rows with one value of a column.

    `expected_accuracy` is that to expect from the scores. The errors are those of the automatic
    decisions, None where there are none.
    """

    rows: int
    positive_share: float
    auc: Interval
    accuracy: Interval
    log_loss: Interval
    calibration_error: float
    expected_accuracy: float
    manual: float
    camera_error: float | None
    network_error: float | None
    cost: float


class Controlled(Struct, frozen=True):
    """Risk control: the limits asked for, what is guaranteed, what decisions it makes of all rows.

    `simulation` shows how often the guarantee was broken when it was made of random draws.
    """

    limits: Limits
    guarantees: RiskControl
    decisions: Decisions
    simulation: Simulation


class Evaluation(DecisionReport, frozen=True):
    """The whole report.

    `measures` are metrics with 95 % intervals, whose bounds are null if rows are too few;
    `segments` are by column and value. `joined` is what became of labels of another file, None if
    the rows have their own.
    """

    version: str
    sha256: str
    data: Source
    joined: Joined | None
    first: str
    last: str
    seed: int
    rows: int
    positive_share: float
    measures: dict[str, Interval]
    baselines: dict[str, dict[str, float]]
    reliability: list[dict[str, float]]
    certainty: list[Certainty]
    controlled: Controlled | None
    segments: dict[str, dict[str, Segment]]
    against: Comparison | None
    warnings: list[str]


def intervals(scored: Scored, seed: int) -> dict[str, Interval]:
    """The metrics; without bounds if the rows are too few for a bootstrap."""
    if too_few(scored.labels):
        return {
            name: Interval(value, nan, nan)
            for name, value in metrics.measures(*scored).items()
            if name in bootstrap.HIGHER_IS_BETTER
        }
    return bootstrap.intervals(*scored, seed)


def grouped(values: Array) -> Array:
    """The values as names, those of rare ones and of too many `OTHERS`; shape (rows,).

    A value in few rows may be anything, and its figures would be noise.
    """
    names, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    shown = np.argsort(-counts, kind="stable")[:MOST_GROUPS]
    names = np.array([str(name).strip() or EMPTY for name in names], dtype=object)
    hidden = np.setdiff1d(np.arange(names.size), shown[counts[shown] >= LEAST_CLASS])
    names[hidden] = OTHERS
    return np.asarray(names[places])


def segments(
    scored: Scored, values: Array, thresholds: Thresholds, costs: Costs, seed: int
) -> dict[str, Segment]:
    """The model's quality for each value of a column, whose `values` have shape (rows,)."""
    groups = grouped(values)
    return {
        str(name): _segment(
            Scored(*(each[groups == name] for each in scored)), thresholds, costs, seed
        )
        for name in sorted(set(groups.tolist()))
    }


def _segment(scored: Scored, thresholds: Thresholds, costs: Costs, seed: int) -> Segment:
    labels, positives = scored
    measures = intervals(scored, seed)
    made = decisions.decide(labels, positives, thresholds, costs)
    return Segment(
        rows=labels.size,
        positive_share=float(labels.mean()),
        auc=measures["auc"],
        accuracy=measures["accuracy"],
        log_loss=measures["log_loss"],
        calibration_error=measures["calibration_error"].value,
        expected_accuracy=decisions.expected_accuracy(positives),
        manual=made.by_decision["manual"].share,
        camera_error=made.by_decision["camera"].error,
        network_error=made.by_decision["network"].error,
        cost=made.cost,
    )


def few_rows(labels: Array, by_column: Mapping[str, Mapping[str, Segment]]) -> list[str]:
    """Warnings that figures rest on few rows."""
    lines = []
    if too_few(labels):
        lines.append(
            f"{labels.size} rows, {fewest(labels)} of the rarer label, are too few for intervals: "
            f"at least {LEAST_ROWS} rows and {LEAST_OF_A_LABEL} of each label are needed"
        )
    for column, found in by_column.items():
        small = sum(np.isnan(segment.accuracy.low) for segment in found.values())
        if small and not too_few(labels):
            lines.append(f"{column}: {small} of {len(found)} groups are too small for intervals")
    return lines


def unexpected_accuracy(expected: float, measures: Mapping[str, Interval]) -> list[str]:
    """A warning if the labels show another accuracy than the scores lead to expect."""
    accuracy = measures["accuracy"]
    if accuracy.low <= expected <= accuracy.high or np.isnan(accuracy.low):
        return []
    more = "more" if expected > accuracy.value else "less"
    line = (
        f"the accuracy expected from the scores is {expected:.4f}, {more} than the observed "
        f"{accuracy.value:.4f}, beyond its interval: is the model calibrated?"
    )
    return [line]
