"""Metrics of probabilities, and the baselines that a model must beat.

`labels` are 0 or 1, `probabilities` lie in 0 to 1; both are arrays of shape (rows,), not empty.

scikit-learn is imported on use: its import changes the environment.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct
from scipy.stats import binned_statistic

# A hard rule says 0 or 1, and its log loss is infinite once it is wrong. So probabilities are
# clipped this far from both ends for the log loss: one error of a hard rule costs 34.5 nats.
CLIP: Final = 1e-15
BINS: Final = 10
_SCORE_BINS: Final = 40


class Bin(NamedTuple):
    """One bin of a reliability diagram."""

    rows: int
    mean_probability: float
    observed_share: float


class ScoreBin(Struct, frozen=True):
    """The rows whose score is from `low` to `high`, by label."""

    low: float
    high: float
    network_right: int
    camera_right: int


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The area under the ROC curve, nan if only one kind of label occurs."""
    if labels.min() == labels.max():
        return float("nan")
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - see above

    return float(roc_auc_score(labels, probabilities))


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The share of rows whose label is 1 exactly when the probability is above one half."""
    return float(np.mean((probabilities > 0.5) == (labels == 1)))


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The Brier score: the mean squared difference of probability and label."""
    from sklearn.metrics import brier_score_loss  # noqa: PLC0415 - see above

    return float(brier_score_loss(labels, probabilities, pos_label=1, labels=(0, 1)))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of -ln p(label), in nats, of probabilities clipped by `CLIP`."""
    from sklearn.metrics import log_loss  # noqa: PLC0415 - see above

    return float(log_loss(labels, probabilities.clip(CLIP, 1 - CLIP), labels=(0, 1)))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The bins of equal width that hold rows, from low to high.

    scikit-learn's calibration_curve has no row counts, which the diagram shows and ECE weighs by.
    """
    # Scaled, so that the borders of the bins are exact numbers.
    (predicted, observed), _, places = binned_statistic(
        probabilities * bins, (probabilities, labels), bins=bins, range=(0, bins)
    )
    rows = np.bincount(places, minlength=bins + 1)[1:]
    return [
        Bin(int(rows[at]), float(predicted[at]), float(observed[at]))
        for at in np.flatnonzero(rows).tolist()
    ]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error (ECE): the mean gap of the bins, weighted by their rows.

    Naeini, Cooper and Hauskrecht, AAAI 2015; of the positive class, as there.
    """
    gaps = (
        each.rows * abs(each.mean_probability - each.observed_share)
        for each in reliability(labels, probabilities, bins)
    )
    return sum(gaps) / labels.size


def score_bins(labels: np.ndarray, probabilities: np.ndarray) -> list[ScoreBin]:
    """How the scores are distributed, by label."""
    edges = np.linspace(0, 1, _SCORE_BINS + 1)
    right, wrong = (np.histogram(probabilities[labels == label], edges)[0] for label in (1, 0))
    columns = (edges[:-1].tolist(), edges[1:].tolist(), right.tolist(), wrong.tolist())
    return [ScoreBin(*numbers) for numbers in zip(*columns, strict=True)]


def measures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """All metrics by name, and the number of rows."""
    return {
        "rows": labels.size,
        "auc": auc(labels, probabilities),
        "accuracy": accuracy(labels, probabilities),
        "brier": brier(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
    }


def baselines(labels: np.ndarray, network_scores: np.ndarray) -> dict[str, dict[str, float]]:
    """The metrics of two plain rules, and of the network's own score taken as the probability.

    `network_scores` are the network's confidences, shape (rows,), 0 to 1. The score itself is
    listed since the hard rule made of it hides how well it ranks.
    """
    return {
        "always_network": measures(labels, np.ones(labels.size)),
        "score_over_half": measures(labels, (network_scores > 0.5).astype(float)),
        "score_itself": measures(labels, network_scores),
    }


def slices(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> dict[str, dict[str, float]]:
    """The model's metrics within each group, by name; `groups` has shape (rows,)."""
    return {
        str(group): {
            "positive_share": float(labels[groups == group].mean()),
            **measures(labels[groups == group], probabilities[groups == group]),
        }
        for group in np.unique(groups)
    }


def summary(
    labels: np.ndarray, probabilities: np.ndarray, network_scores: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    """The metrics of the held-out rows in a manifest; `groups` are their camera classes."""
    return {
        "positive_share": float(labels.mean()),
        "model": measures(labels, probabilities),
        "baselines": baselines(labels, network_scores),
        "by_camera_class": slices(labels, probabilities, groups),
        "reliability": [each._asdict() for each in reliability(labels, probabilities)],
    }
