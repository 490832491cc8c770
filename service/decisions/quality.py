"""Quality of decisions by labels that came later, without the bias of which decisions get labels.

People look at what the model was unsure of, so labels alone say little of automatic decisions. An
audit draws each decision with a known probability; a drawn and labelled decision stands for as many
as the inverse of it (Horvitz and Thompson, A generalization of sampling without replacement from a
finite universe, JASA 47, 1952). Manual decisions are all looked at and count once.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import nan, sqrt
from typing import Final, NamedTuple

from service.decisions import probabilities
from service.decisions.probabilities import Weighted

MANUAL: Final = "manual"
NETWORK: Final = "network"
# The normal distribution's 97.5 % quantile.
_Z: Final = 1.959963984540054
# A bet never risks more than this share of the evidence.
_BOLDEST: Final = 0.5


class Labelled(NamedTuple):
    """A decision with its outcome: whose reading was right, `network`, `camera` or `neither`.

    `audited` is the probability with which it was drawn for review, 0 if it was not. `positive` is
    the score: how probable it was that the network's is right.
    """

    decision: str
    outcome: str
    audited: float
    positive: float = nan

    @property
    def is_wrong(self) -> bool:
        """Whether an automatic decision took the wrong reading."""
        return self.decision != self.outcome

    @property
    def weight(self) -> float:
        """For how many decisions it stands; 0 for one whose chance of a label is not known."""
        if self.decision == MANUAL:  # all are looked at, drawn or not
            return 1.0
        return 1 / self.audited if self.audited else 0.0


class Rate(NamedTuple):
    """A rate with its 95 % interval, and the labelled decisions that it was computed from."""

    value: float
    low: float
    high: float
    labels: int


class Figures(NamedTuple):
    """How good the decisions of a group are, by the labels of those that were drawn for review.

    `errors` and `cost` are of automatic decisions: their rate of wrong ones, and what these cost
    for each automatic decision. `auc`, `log_loss` and `calibration_error` are of the scores. What
    has no labels is None or nan.
    """

    errors: Rate | None
    cost: float
    auc: float
    log_loss: float
    calibration_error: float


def figures(labelled: Sequence[Labelled], costs: Mapping[str, float]) -> Figures:
    """The figures of decisions; `costs` has that of each wrong decision, as `network_wrong`."""
    scored = drawn(labelled)
    return Figures(
        error_rate(labelled),
        _cost(labelled, costs),
        probabilities.auc(scored),
        probabilities.log_loss(scored),
        probabilities.calibration_error(scored),
    )


def drawn(labelled: Iterable[Labelled]) -> list[Weighted]:
    """The scores of the decisions that were drawn for review, manual ones too."""
    return [
        Weighted(one.positive, one.outcome == NETWORK, 1 / one.audited)
        for one in labelled
        if one.audited
    ]


def _cost(labelled: Iterable[Labelled], costs: Mapping[str, float]) -> float:
    automatic = [one for one in labelled if one.decision != MANUAL and one.audited]
    weight = sum(one.weight for one in automatic)
    spent = sum(one.weight * costs[f"{one.decision}_wrong"] for one in automatic if one.is_wrong)
    return spent / weight if weight else nan


def error_rate(labelled: Iterable[Labelled]) -> Rate | None:
    """The rate of wrong automatic decisions; None without labels of audited ones."""
    automatic = [one for one in labelled if one.decision != MANUAL]
    return weighted_rate([(one.weight, one.is_wrong) for one in automatic])


def weighted_rate(weighted: Sequence[tuple[float, bool]]) -> Rate | None:
    """The weighted share of True, None without any weight.

    The interval is Wilson's (Probable inference, the law of succession, and statistical inference,
    JASA 22, 1927) for as many equal labels as have the variance of the weighted ones.
    """
    counted = [(weight, is_true) for weight, is_true in weighted if weight > 0]
    total = sum(weight for weight, _ in counted)
    if not total:
        return None
    value = sum(weight for weight, is_true in counted if is_true) / total
    variance = sum((weight * (is_true - value)) ** 2 for weight, is_true in counted) / total**2
    if variance:
        equal = value * (1 - value) / variance
    else:  # all the same: by the weights alone
        equal = total**2 / sum(weight**2 for weight, _ in counted)
    low, high = wilson(value, equal)
    return Rate(value, low, high, len(counted))


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `count` draws."""
    middle = share + _Z**2 / (2 * count)
    spread = _Z * sqrt(share * (1 - share) / count + (_Z / (2 * count)) ** 2)
    scale = 1 + _Z**2 / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


class Evidence:
    """Evidence against "at most so many of the automatic decisions are wrong", label by label.

    It may be looked at after each label: with probability 1 - `risk` it never reaches 1 / `risk`
    while the claim is true. It is the wealth of somebody who bets on errors at fair odds
    (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86,
    2024).
    """

    def __init__(self, limit: float, risk: float = 0.05) -> None:
        """`limit` is the rate that is claimed not to be exceeded, above 0 and below 1."""
        self.limit = limit
        self.wealth = 1.0
        self._risk = risk
        # As if one label had come already, with the claimed rate.
        self._labels, self._errors = 1.0, limit

    def add(self, is_wrong: bool) -> None:  # noqa: FBT001 - what a label says
        """Take in the next label; the bet on it was made before."""
        rate = self._errors / self._labels
        gain = rate - self.limit
        variance = max(rate * (1 - rate), self.limit * (1 - self.limit))
        bet = min(max(gain / (variance + gain**2), 0.0), _BOLDEST / self.limit)
        self.wealth *= 1 + bet * (is_wrong - self.limit)
        self._labels += 1
        self._errors += is_wrong

    @property
    def is_broken(self) -> bool:
        """Whether the claim is to be given up."""
        return self.wealth >= 1 / self._risk
