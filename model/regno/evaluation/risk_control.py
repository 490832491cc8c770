"""Thresholds with a guarantee: how often automatic decisions are wrong, with a confidence.

Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test: Calibrating
Predictive Algorithms to Achieve Risk Control, Annals of Applied Statistics 19, 2025,
arXiv:2110.01052). Each possible threshold is a hypothesis: "more than this share of the decisions
beyond it is wrong". Of `n` rows beyond it that are drawn independently, a number `k` is wrong that
is binomially distributed, so P(X <= k) for X ~ Binomial(n, limit) is a p-value. Thresholds are
tested in a fixed sequence, from a sure one to laxer ones, until one can't be rejected: so no
correction for their number is needed. A part of the rows determines the grid and the first
threshold, the rest tests. The two sides share the allowed probability of an error, so that both
guarantees hold together.

MAPIE's BinaryClassificationController does the same for one list of parameters and all risks at
once. Here each risk depends on one of two thresholds: pairs of them would be tested for nothing.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct
from scipy.stats import beta, binom

from model.regno.review.decision import Thresholds

Array: TypeAlias = np.ndarray[Any, Any]

# Of the rows: they determine what is tested.
_LEARN: Final = 0.2
_GRID: Final = 200


class Limits(Struct, frozen=True):
    """Which share of the automatic decisions may be wrong, and with what confidence, 0 to 1."""

    camera: float
    network: float
    confidence: float


class Guarantee(Struct, frozen=True):
    """What is guaranteed of one side.

    Of `decided` testing rows `wrong` were decided wrongly; with the confidence of this side alone
    the share of wrong ones is at most `bound` (Clopper and Pearson, Biometrika 26, 1934). Without a
    threshold nothing can be guaranteed.
    """

    limit: float
    threshold: float | None
    decided: int
    wrong: int
    bound: float


class RiskControl(Struct, frozen=True):
    """The two guarantees, which hold together with `confidence`, and by how many rows."""

    confidence: float
    camera: Guarantee
    network: Guarantee
    learning_rows: int
    testing_rows: int

    @property
    def complete(self) -> bool:
        """Whether both sides have a threshold."""
        return self.camera.threshold is not None and self.network.threshold is not None


class Repetition(NamedTuple):
    """The errors of the automatic decisions of one repetition, nan where there are none."""

    camera: float
    network: float
    manual: float


class Simulation(Struct, frozen=True):
    """How often the guarantee was broken when it was made of other draws of the same rows."""

    repetitions: int
    broken: int
    camera_errors: list[float]
    network_errors: list[float]
    manual_shares: list[float]


class _Counts(NamedTuple):
    """For each threshold of the grid: the rows below it, and the network's right ones of them."""

    below: Array
    right_below: Array
    rows: int
    right: int

    @classmethod
    def of(cls, labels: Array, positives: Array, grid: Array) -> "_Counts":
        order = np.argsort(positives, kind="stable")
        below = np.searchsorted(positives[order], grid, side="left")
        right = np.r_[0, np.cumsum(labels[order])]
        return cls(below, right[below], labels.size, int(right[-1]))

    @property
    def camera(self) -> tuple[Array, Array]:
        """The wrong decisions, and all, if the camera decides below a threshold."""
        return self.right_below, self.below

    @property
    def network(self) -> tuple[Array, Array]:
        """The same if the network decides from a threshold on."""
        decided = self.rows - self.below
        return decided - (self.right - self.right_below), decided


def control(labels: Array, positives: Array, limits: Limits, seed: int) -> RiskControl:
    """The two thresholds that send least to manual review and keep the limits.

    `labels` are 0 or 1, `positives` the scores, both of shape (rows,). The camera decides up to its
    threshold, the network from its own on. The guarantee is for rows that are distributed as these
    are; the model must not have learnt from them. The same seed gives the same thresholds.
    """
    order = np.random.default_rng(seed).permutation(labels.size)
    learning, testing = np.split(order, [round(_LEARN * labels.size)])
    if not learning.size:
        camera, network = _nothing(limits.camera), _nothing(limits.network)
        return RiskControl(limits.confidence, camera, network, 0, testing.size)
    grid = _grid(positives[learning])
    learnt = _Counts.of(labels[learning], positives[learning], grid)
    tested = _Counts.of(labels[testing], positives[testing], grid)
    allowed = (1 - limits.confidence) / 2
    scale = testing.size / learning.size
    middle = int(np.argmin(learnt.camera[0] + learnt.network[0]))
    # Steps from a start to laxer thresholds: the camera's rise, the network's fall.
    up_to = _walk(
        range(_start(learnt.camera, limits.camera, scale, np.arange(middle + 1)), grid.size),
        *(_p_values(tested.camera, limits.camera), allowed),
    )
    from_on = _walk(
        range(_start(learnt.network, limits.network, scale, np.arange(middle, grid.size)), -1, -1),
        *(_p_values(tested.network, limits.network), allowed),
    )
    if up_to is not None and from_on is not None and from_on < up_to:
        # Both sides could decide the rows between: each does up to one place that both allow.
        up_to = from_on = int(np.clip(middle, from_on, up_to))
    return RiskControl(
        limits.confidence,
        # Up to the number before the grid's, which is of the network's side.
        _guarantee(tested.camera, up_to, limits.camera, np.nextafter(grid, 0), allowed),
        _guarantee(tested.network, from_on, limits.network, grid, allowed),
        learning.size,
        testing.size,
    )


def _grid(positives: Array) -> Array:
    return np.unique(np.quantile(positives, np.linspace(0, 1, _GRID + 1), method="lower"))


def _p_values(counts: tuple[Array, Array], limit: float) -> Array:
    wrong, decided = counts
    return np.asarray(binom.cdf(wrong, decided, limit))


def _start(counts: tuple[Array, Array], limit: float, scale: float, places: Array) -> int:
    """The place whose hypothesis will most surely be rejected, as far as can be learnt."""
    wrong, decided = (np.rint(each[places] * scale) for each in counts)
    return int(places[np.argmin(binom.cdf(wrong + 1, decided, limit))])


def _walk(steps: range, p_values: Array, allowed: float) -> int | None:
    """The last place whose hypothesis, and those of all before it, are rejected."""
    last = None
    for place in steps:
        if place >= p_values.size or not p_values[place] <= allowed:
            break
        last = place
    return last


def _guarantee(
    counts: tuple[Array, Array], place: int | None, limit: float, grid: Array, allowed: float
) -> Guarantee:
    if place is None:
        return _nothing(limit)
    wrong, decided = (int(each[place]) for each in counts)
    bound = float(beta.ppf(1 - allowed, wrong + 1, decided - wrong)) if wrong < decided else 1.0
    return Guarantee(limit, float(grid[place]), decided, wrong, bound)


def _nothing(limit: float) -> Guarantee:
    return Guarantee(limit, None, 0, 0, 1.0)


def simulate(
    labels: Array, positives: Array, limits: Limits, seed: int, repetitions: int
) -> Iterator[Repetition]:
    """Make the guarantee by random draws of the rows, and check it on all of them.

    The rows stand for everything that will come; each draw, with replacement, has as many.
    """
    rng = np.random.default_rng(seed)
    for _ in range(repetitions):
        drawn = rng.integers(labels.size, size=labels.size)
        made = control(labels[drawn], positives[drawn], limits, int(rng.integers(2**31)))
        yield errors(labels, positives, made)


def thresholds(made: RiskControl) -> Thresholds:
    """The thresholds, infinite where nothing can be guaranteed."""
    camera, network = made.camera.threshold, made.network.threshold
    return Thresholds.at(
        -np.inf if camera is None else camera, np.inf if network is None else network
    )


def errors(labels: Array, positives: Array, made: RiskControl) -> Repetition:
    """What decisions by the thresholds amount to on other rows."""
    chosen = thresholds(made)
    network = positives >= chosen.network
    camera = ~network & (positives <= chosen.camera)
    return Repetition(
        _share(labels[camera] == 1),
        _share(labels[network] == 0),
        float((~camera & ~network).mean()),
    )


def _share(wrong: Array) -> float:
    return float(wrong.mean()) if wrong.size else float("nan")


def broken(repetition: Repetition, limits: Limits) -> bool:
    """Whether one of the two guarantees does not hold."""
    # nan, where nothing is decided automatically, is not above a limit.
    return repetition.camera > limits.camera or repetition.network > limits.network


def simulation(repetitions: Iterator[Repetition], limits: Limits) -> Simulation:
    """The figures of repetitions."""
    made = list(repetitions)
    return Simulation(
        len(made),
        sum(broken(each, limits) for each in made),
        [each.camera for each in made],
        [each.network for each in made],
        [each.manual for each in made],
    )
