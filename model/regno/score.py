"""A score: the two probabilities of one reading, and the contributions of features to it."""

from typing import NamedTuple

from msgspec import Struct


class Score(Struct, gc=False):
    """How probably the camera's (`negative`) or the network's (`positive`) reading is right."""

    negative: float
    positive: float


class Contributions(NamedTuple):
    """The parts of one raw score (log-odds of `positive`): `base` plus the features' contributions.

    `features` has one number for each of the model's features, in its order.
    """

    base: float
    features: list[float]
    raw: float
