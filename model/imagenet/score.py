"""The score: what a picture probably shows, and the answer to the query."""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from model.imagenet.queries import Query

CLASSES: Final = 1000
_TOP: Final = 5
_LABELS: Final = Path(__file__).with_name("labels.txt")


class Guess(Struct, frozen=True):
    """A label, and how probably the picture shows it."""

    label: str
    probability: float


class Answer(Struct, frozen=True, omit_defaults=True):
    """`positive` is the probability of the query's classes, or of the best label without a query.

    `top` are the five best labels; `answer` is whether `positive` reaches the query's threshold.
    """

    positive: float
    top: list[Guess]
    query: str | None = None
    answer: bool | None = None


@cache
def labels() -> tuple[str, ...]:
    """The names of the thousand classes, by their numbers."""
    return tuple(_LABELS.read_text("utf-8").splitlines())


def answer_of(probabilities: NDArray[np.float64], query: Query | None) -> Answer:
    """The score of the probabilities (1000,) of a picture."""
    best = np.argsort(-probabilities, kind="stable")[:_TOP].tolist()
    top = [Guess(labels()[number], float(probabilities[number])) for number in best]
    if query is None:
        return Answer(top[0].probability, top)
    # Rounding may make a sum of all but 1 a little more than 1.
    positive = min(1.0, float(probabilities[query.classes].sum()))
    return Answer(positive, top, query.name, positive >= query.threshold)
