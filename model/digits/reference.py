"""Drift: pictures and their confidences by the bins of a reference, and how one is made."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from model.digits.ink import Array, Ink
from model.drift.counter import SCORE, DriftCounter, Variable, numeric

# What is counted of a picture beside its score: the network takes the pixels.
FEATURES: Final = ("brightness", "ink", "size")
# What the images of MNIST tell: they are all dark, and of one size.
OF_INK: Final = ("ink",)


class InkDrift(DriftCounter):
    """Counts pictures by the bins of a reference."""

    def add_rows(self, rows: Sequence[Ink], positives: Sequence[float]) -> None:
        """Count pictures with these confidences."""
        super().add_rows(list(map(_values_of, rows)), positives)

    def expected(self, scores: Array) -> Array:
        """How probably the answers are right: as probably as they say."""
        return scores


def reference(
    inks: Sequence[Ink], confidences: Sequence[float], features: Sequence[str] = FEATURES
) -> list[Variable]:
    """The variables of pictures and their scores. The features count equally."""
    columns = dict(zip(FEATURES, zip(*map(_values_of, inks), strict=True), strict=True))
    importance = round(1 / len(features), 6)
    variables = [
        msgspec.structs.replace(numeric(name, columns[name]), importance=importance)
        for name in features
    ]
    return [*variables, numeric(SCORE, np.asarray(confidences).tolist())]


def _values_of(ink: Ink) -> tuple[float, float, float]:
    """The values of `FEATURES` of a picture."""
    return ink.brightness, ink.share, float(ink.size)
