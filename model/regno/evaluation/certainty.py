"""How sure a score is: the interval of Venn-ABERS predictors."""

from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct

Array: TypeAlias = np.ndarray[Any, Any]

_POINTS: Final = 40


class Certainty(Struct, frozen=True):
    """At a score: the probabilities that the rows give it, between which the true one is sought.

    `low` and `high` differ much where few rows are like this one.
    """

    positive: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """How far the two are apart."""
        return self.high - self.low


def venn_abers(labels: Array, positives: Array) -> list[Certainty]:
    """The intervals at quantiles of the scores, from low to high.

    Vovk and Petej, Venn-Abers Predictors, UAI 2014: isotonic regression on the labelled rows and
    the row in question, which is once labelled 0 and once 1.
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - as in `metrics`

    def fitted(positive: float, label: int) -> float:
        regression = IsotonicRegression(y_min=0, y_max=1)
        regression.fit(np.r_[positives, positive], np.r_[labels, label])
        return float(regression.predict([positive])[0])

    shares = np.linspace(0, 1, _POINTS + 1)
    points = np.unique(np.quantile(positives, shares, method="lower")).tolist()
    return [Certainty(point, fitted(point, 0), fitted(point, 1)) for point in points]
