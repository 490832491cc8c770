"""Fitting of calibrations on rows that the model was not trained on."""

from typing import Any, Final, Literal, TypeAlias

import numpy as np

from model.errors import DataRefused
from model.regno.model_file.calibration import Calibration, Isotonic, Platt, log_odds_of

Array: TypeAlias = np.ndarray[Any, Any]
Method: TypeAlias = Literal["isotonic", "platt"]

# So weak a penalty that it is none.
_NO_PENALTY: Final = 1e10


def fit(
    method: Method, labels: Array, probabilities: Array, weights: Array | None = None
) -> Calibration:
    """The calibration of a model's probabilities by the labels of the same rows, shape (rows,).

    `weights` are how much each row counts, None if they count the same. Raises DataRefused if the
    probabilities do not rise with the labels.
    """
    fitted = _isotonic if method == "isotonic" else _platt
    has_both = labels.size and labels.min() != labels.max()
    calibration = fitted(labels, probabilities, weights) if has_both else None
    if calibration is None:
        raise DataRefused(
            f"the probabilities of the {labels.size} validation rows do not rise with their "
            "labels: they can't be calibrated"
        )
    return calibration


def _isotonic(labels: Array, probabilities: Array, weights: Array | None) -> Isotonic | None:
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - changes the environment

    # No probability of 0 or 1 can be known from so many rows (the rule of succession).
    least = 1 / (labels.size + 2)
    regression = IsotonicRegression(y_min=least, y_max=1 - least)
    fitted = regression.fit(probabilities, labels, sample_weight=weights)
    scores, calibrated = fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist()
    return None if calibrated[0] == calibrated[-1] else Isotonic(scores, calibrated)


def _platt(labels: Array, probabilities: Array, weights: Array | None) -> Platt | None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - as above

    rows = log_odds_of(probabilities).reshape(-1, 1)
    fitted = LogisticRegression(C=_NO_PENALTY).fit(rows, labels, sample_weight=weights)
    slope, intercept = fitted.coef_.item(), fitted.intercept_.item()
    return Platt(slope, intercept) if slope > 0 else None
