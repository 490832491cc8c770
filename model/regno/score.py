"""A score: the two probabilities of one reading."""

from msgspec import Struct


class Score(Struct, gc=False):
    """How probably the camera's (`negative`) or the network's (`positive`) reading is right."""

    negative: float
    positive: float
