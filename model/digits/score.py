"""The score: the likeliest digit, and how sure the model is."""

from typing import Final

import numpy as np
from msgspec import Struct

from model.digits.ink import Array

_TOP: Final = 3


class Candidate(Struct, frozen=True):
    """A digit, and how probably it is the one in the picture."""

    digit: int
    probability: float


class Digit(Struct, frozen=True):
    """The likeliest digit and its probability; the three likeliest, best first; all ten, from 0."""

    prediction: int
    confidence: float
    top: list[Candidate]
    probabilities: list[float]

    @property
    def positive(self) -> float:
        """The confidence, by which versions are compared."""
        return self.confidence


def digit_of(probabilities: Array) -> Digit:
    """The score of the probabilities (10,) of a picture. Of equal ones the smaller digit wins."""
    best = np.argsort(-probabilities, kind="stable")[:_TOP].tolist()
    values: list[float] = probabilities.tolist()
    top = [Candidate(digit, values[digit]) for digit in best]
    return Digit(top[0].digit, top[0].probability, top, values)
