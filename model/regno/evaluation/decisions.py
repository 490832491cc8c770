"""What decisions by two thresholds amount to on labelled rows: shares, errors and cost.

`labels` are 0 or 1, 1 when the network's reading is the true one; `positives` are the scores, 0 to
1; both of shape (rows,), not empty. A row with label 0 counts for the camera, though both readings
may be wrong in it.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct

from model.regno.evaluation import metrics
from model.regno.evaluation.metrics import ScoreBin
from model.regno.review.decision import DECISIONS, Costs, Thresholds

Array: TypeAlias = np.ndarray[Any, Any]

# Points of a curve.
_POINTS: Final = 200
_STEPS: Final = 50


class Decided(Struct, frozen=True):
    """The rows of one decision, how many of them by which reading is right, and `error`.

    `error` is the share of automatic decisions that are wrong, None if there are none or for
    manual ones.
    """

    rows: int
    share: float
    network_right: int
    camera_right: int
    error: float | None


class Decisions(Struct, frozen=True):
    """The decisions by thresholds; a threshold is None where nothing is decided so.

    `cost` is that of a row by the labels, `expected_cost` that by the scores alone; in the unit of
    the costs.
    """

    camera: float | None
    network: float | None
    by_decision: dict[str, Decided]
    cost: float
    expected_cost: float

    @property
    def rows(self) -> int:
        """How many rows were decided."""
        return sum(decided.rows for decided in self.by_decision.values())


class ManualCost(Struct, frozen=True):
    """The decisions at one cost of a manual review, by the thresholds that are cheapest then."""

    manual: float
    shares: dict[str, float]
    cost: float


class Coverage(Struct, frozen=True):
    """If the surest rows, this share of all, are decided automatically: how many are wrong."""

    coverage: float
    error: float


class DecisionReport(Struct, frozen=True, kw_only=True):
    """What a report says about the scores of labelled rows and the decisions by them.

    `expected_accuracy` is that to expect from the scores. `thresholds` says where those of
    `decisions` come from, `costs` or `manifest`; `cheapest` are the decisions that would have cost
    least on these very rows.
    """

    expected_accuracy: float
    scores: list[ScoreBin]
    costs: Costs
    thresholds: str
    decisions: Decisions
    cheapest: Decisions
    by_manual_cost: list[ManualCost]
    coverage: list[Coverage]


def report(labels: Array, positives: Array, thresholds: Thresholds, costs: Costs) -> DecisionReport:
    """All of it, for the decisions by thresholds and what mistakes cost."""
    return DecisionReport(
        expected_accuracy=expected_accuracy(positives),
        scores=metrics.score_bins(labels, positives),
        costs=costs,
        thresholds=thresholds.source,
        decisions=decide(labels, positives, thresholds, costs),
        cheapest=decide(labels, positives, cheapest(labels, positives, costs), costs),
        by_manual_cost=by_manual_cost(labels, positives, costs),
        coverage=risk_coverage(labels, positives),
    )


def decide(labels: Array, positives: Array, thresholds: Thresholds, costs: Costs) -> Decisions:
    """The decisions at thresholds, by what mistakes cost."""
    network = positives >= thresholds.network
    camera = ~network & (positives <= thresholds.camera)
    groups = {"camera": camera, "network": network, "manual": ~network & ~camera}
    cost = _cost(camera, network, labels, costs)
    return Decisions(
        _number(thresholds.camera),
        _number(thresholds.network),
        {name: _decided(name, labels[groups[name]], labels.size) for name in DECISIONS},
        cost,
        _cost(camera, network, positives, costs),
    )


def _number(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None


def _decided(name: str, labels: Array, rows: int) -> Decided:
    right = int(labels.sum())
    wrong = {"camera": right, "network": labels.size - right}.get(name)
    error = None if wrong is None or not labels.size else wrong / labels.size
    return Decided(labels.size, labels.size / rows, right, labels.size - right, error)


def _cost(camera: Array, network: Array, positives: Array, costs: Costs) -> float:
    """The mean cost of a row; with labels as `positives` that of what happened."""
    by_row = np.where(
        network,
        (1 - positives) * costs.network_wrong,
        np.where(camera, positives * costs.camera_wrong, costs.manual),
    )
    return float(by_row.mean())


def cheapest(labels: Array, positives: Array, costs: Costs) -> Thresholds:
    """The thresholds that would have cost least on these rows, infinite where none is best.

    On the rows that they were chosen by, they look better than on others. All pairs of places
    between two different scores are compared.
    """
    order = np.argsort(positives, kind="stable")
    rising, right = positives[order], labels[order]
    # A place is the number of rows below a threshold.
    places = np.r_[0, np.flatnonzero(rising[1:] > rising[:-1]) + 1, rising.size]
    camera = np.r_[0, np.cumsum(right)][places] * costs.camera_wrong - places * costs.manual
    wrong = np.r_[0, np.cumsum(1 - right)]
    network = (wrong[-1] - wrong[places]) * costs.network_wrong + places * costs.manual
    least = np.minimum.accumulate(camera)
    upper = int(np.argmin(least + network))
    lower = int(np.argmin(camera[: upper + 1]))
    borders = [float(rising[at]) for at in (places[lower] - 1, min(places[upper], rising.size - 1))]
    return Thresholds.at(
        borders[0] if places[lower] else -np.inf,
        borders[1] if places[upper] < rising.size else np.inf,
    )


def by_manual_cost(labels: Array, positives: Array, costs: Costs) -> list[ManualCost]:
    """The decisions for costs of a manual review from 0 up to where none is worth it."""
    # Above it one threshold is left: Chow's rule.
    most = costs.network_wrong * costs.camera_wrong / (costs.network_wrong + costs.camera_wrong)
    curve = []
    for manual in np.linspace(0, most, _STEPS + 1).tolist():
        tried = Costs(costs.network_wrong, costs.camera_wrong, manual)
        made = decide(labels, positives, Thresholds(tried), tried)
        shares = {name: of.share for name, of in made.by_decision.items()}
        curve.append(ManualCost(manual, shares, made.cost))
    return curve


def risk_coverage(labels: Array, positives: Array) -> list[Coverage]:
    """The error of automatic decisions at one half, if only the surest rows are decided so.

    El-Yaniv and Wiener, On the foundations of noise-free selective classification, JMLR 11, 2010.
    """
    order = np.argsort(-np.abs(positives - 0.5), kind="stable")
    wrong = np.cumsum(((positives > 0.5) != (labels == 1))[order])
    rows = np.unique(np.linspace(1, labels.size, min(_POINTS, labels.size)).astype(int))
    return [Coverage(row / labels.size, float(wrong[row - 1]) / row) for row in rows.tolist()]


def expected_accuracy(positives: Array) -> float:
    """The accuracy at one half to expect from scores, if they are calibrated; no labels are needed.

    Confidence-based performance estimation (CBPE): the mean of max(p, 1 - p).
    """
    return float(np.maximum(positives, 1 - positives).mean())
