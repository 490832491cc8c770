"""How good probabilities are, and how good the plain rules they must beat.

`labels` are 0 or 1, `probabilities` lie in 0 to 1; both are arrays of shape (rows,), not empty.
"""

from typing import Any, Final, NamedTuple

import numpy as np

# A hard rule says 0 or 1, and its log loss is infinite once it is wrong. Probabilities are
# clipped this far from both ends for the log loss alone, as is customary: one error of a
# hard rule costs 34.5 nats. Its log loss therefore says little more than its accuracy does.
CLIP: Final = 1e-15
BINS: Final = 10


class Bin(NamedTuple):
    """One bar of a reliability plot: what was foretold on average, and what came."""

    rows: int
    mean_probability: float
    observed_share: float


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The chance that a positive row scores above a negative one; a tie counts one half.

    The Mann-Whitney U statistic over the number of pairs (Hanley and McNeil, Radiology 143,
    1982). nan when only one kind of label occurs.
    """
    positive = int(labels.sum())
    negative = labels.size - positive
    if not positive or not negative:
        return float("nan")
    above = _ranks(probabilities)[labels == 1].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = ((last - counts + 1 + last) / 2)[inverse]
    return ranks


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The share of rows whose label is 1 exactly when the probability is above one half."""
    return float(np.mean((probabilities > 0.5) == (labels == 1)))


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean squared difference (Brier, Monthly Weather Review 78, 1950; its binary half)."""
    return float(np.mean((probabilities - labels) ** 2))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of -ln p(label), in nats, of probabilities clipped by `CLIP`.

    The logarithmic score of Good (Rational Decisions, J. R. Stat. Soc. B 14, 1952).
    """
    clipped = probabilities.clip(CLIP, 1 - CLIP)
    return float(-np.mean(np.where(labels == 1, np.log(clipped), np.log1p(-clipped))))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The bins of equal width that hold rows, from low to high."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    return [
        Bin(
            rows=int(np.sum(index == i)),
            mean_probability=float(probabilities[index == i].mean()),
            observed_share=float(labels[index == i].mean()),
        )
        for i in np.unique(index)
    ]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error: the bins' mean gap, weighted by their rows.

    Naeini, Cooper and Hauskrecht, AAAI 2015; of the positive class, as there.
    """
    found = reliability(labels, probabilities, bins)
    gaps = sum(b.rows * abs(b.mean_probability - b.observed_share) for b in found)
    return gaps / labels.size


def measures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """All measures by name, and the number of rows they are of."""
    return {
        "rows": labels.size,
        "auc": auc(labels, probabilities),
        "accuracy": accuracy(labels, probabilities),
        "brier": brier(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
    }


def compare(
    labels: np.ndarray, probabilities: np.ndarray, network_scores: np.ndarray
) -> dict[str, dict[str, float]]:
    """The measures of the model, of both plain rules, and of the network's own score.

    `network_scores` are the network's confidences, shape (rows,), 0 to 1. The score itself
    stands here because a hard rule made of it hides how well it ranks.
    """
    return {
        "model": measures(labels, probabilities),
        "always_network": measures(labels, np.ones(labels.size)),
        "score_over_half": measures(labels, (network_scores > 0.5).astype(float)),
        "score_itself": measures(labels, network_scores),
    }


def slices(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> dict[str, dict[str, float]]:
    """The model's measures within each group, by name; `groups` has shape (rows,)."""
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
    """What a manifest tells of the held-out rows; `groups` are their camera classes."""
    return {
        "positive_share": float(labels.mean()),
        "contenders": compare(labels, probabilities, network_scores),
        "by_camera_class": slices(labels, probabilities, groups),
        "reliability": [b._asdict() for b in reliability(labels, probabilities)],
    }
