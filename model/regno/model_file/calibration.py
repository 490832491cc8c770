"""Calibration: a rising function that turns a model's probability into the one that is served.

The parameters are in the manifest. `apply` is the only implementation: training measures with it
and the service serves by it, so that both give the same bits. It works element by element, whatever
the number of rows.
"""

from functools import cached_property
from typing import Annotated, Any, Final, TypeAlias

import numpy as np
from msgspec import Meta, Struct

Array: TypeAlias = np.ndarray[Any, Any]

# Probabilities are kept this far from 0 and 1 before their log-odds are taken.
_CLIP: Final = 1e-15
# Log-odds beyond this are probabilities of 0 or 1 anyway, and would overflow.
_FARTHEST: Final = 700.0


class Platt(Struct, frozen=True, tag_field="method", tag="platt"):
    """A straight line in log-odds: `slope` times the model's, plus `intercept`.

    Platt, Probabilistic Outputs for Support Vector Machines, 1999, with log-odds for margins.
    """

    slope: Annotated[float, Meta(gt=0)]
    intercept: float

    def apply(self, probabilities: Array) -> Array:
        """The calibrated probabilities, shape (rows,)."""
        log_odds = self.slope * log_odds_of(probabilities) + self.intercept
        return np.asarray(1 / (1 + np.exp(-log_odds.clip(-_FARTHEST, _FARTHEST))))


class Isotonic(Struct, frozen=True, dict=True, tag_field="method", tag="isotonic"):
    """Straight pieces between the points (`scores`, `probabilities`), which both rise.

    Beyond the first and the last score their probabilities hold. Zadrozny and Elkan, Transforming
    Classifier Scores into Accurate Multiclass Probability Estimates, KDD 2002.
    """

    scores: Annotated[list[float], Meta(min_length=2)]
    probabilities: Annotated[list[float], Meta(min_length=2)]

    @cached_property
    def _points(self) -> tuple[Array, Array]:
        return np.array(self.scores), np.array(self.probabilities)

    def apply(self, probabilities: Array) -> Array:
        """The calibrated probabilities, shape (rows,)."""
        return np.interp(probabilities, *self._points).clip(0.0, 1.0)


Calibration: TypeAlias = Platt | Isotonic


def log_odds_of(probabilities: Array) -> Array:
    """The log-odds of probabilities, which are kept a little away from 0 and 1."""
    clipped = probabilities.clip(_CLIP, 1 - _CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))
