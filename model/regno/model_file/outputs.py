"""Whether all outputs of a model are probabilities, and how they are computed from raw scores.

The golden rows reach few of a model's leaves. A raw score is the scale times the sum of one leaf
of each tree, plus the bias: what holds for all leaves holds for all readings.
"""

import json
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from catboost import CatBoost

from model.errors import ModelRefused
from model.names import printable

Array: TypeAlias = np.ndarray[Any, Any]

# The number of raw scores a row for each loss from which CatBoost computes probabilities of two
# classes. For custom objectives it computes them as for Logloss.
_SIGMOID: Final = frozenset(("Logloss", "CrossEntropy", "Focal", "PythonUserDefinedPerObject"))
_ONE_VS_ALL: Final = "MultiClassOneVsAll"
_DIMENSIONS: Final = {**dict.fromkeys(_SIGMOID, 1), "MultiClass": 2, _ONE_VS_ALL: 2}
# Tolerance for raw scores that should be each other's negative; a probability moves by a quarter.
_SAME: Final = 1e-9


class Output(NamedTuple):
    """The loss that a model was trained with, and the scale and bias of its trees' sum.

    `bias` has one element for each raw score of a row: two when each class has its own.
    """

    loss: str
    scale: float
    bias: list[float]

    def log_odds(self, raw: Array, positive_at: int) -> Array:
        """The log-odds of a class, from raw scores (rows,) or (rows, 2), or from parts of them."""
        if len(self.bias) == 1:
            return raw if positive_at == 1 else 0.0 - raw  # not -raw: nothing is to be -0.0
        if self.loss == _ONE_VS_ALL:
            return raw[:, positive_at]
        return raw[:, positive_at] - raw[:, 1 - positive_at]


def output_of(model: CatBoost) -> Output:
    """The output of a model with two classes. Raises ModelRefused if it may be no probability."""
    loss = _loss(model)
    scale, bias = model.get_scale_and_bias()
    output = Output(loss, scale, bias if isinstance(bias, list) else [bias])
    if loss not in _DIMENSIONS:
        cause = f"trained with {printable(loss)}" if loss else "its file names no loss function"
        raise ModelRefused(f"{cause}: its scores are not probabilities of two classes")
    if len(output.bias) != _DIMENSIONS[loss]:
        raise ModelRefused(f"{loss} gives {_DIMENSIONS[loss]} scores a row, not {len(output.bias)}")
    _check_leaves(output, model.get_leaf_values(), model.get_tree_leaf_counts())
    return output


def _loss(model: CatBoost) -> str:
    """The name of the loss, "" if the file has none; sums of models store it apart."""
    metadata = model.get_metadata()
    try:
        own = json.loads(metadata.get("loss_function") or "{}")
        loss = own or json.loads(metadata.get("params") or "{}")["loss_function"]
        return str(loss["type"])
    except (ValueError, KeyError, TypeError):
        return ""


def _check_leaves(output: Output, leaves: Array, counts: Array) -> None:
    """`leaves` are the values of all trees in a row, `counts` how many leaves each tree has."""
    if not len(counts) or not np.all(counts):
        raise ModelRefused("it has no trees")
    trees = (np.cumsum(counts) - counts).astype(np.intp)  # where each begins
    values = np.reshape(leaves, (-1, len(output.bias)))
    # Sums of finite numbers may still be infinite, and infinite ones of two signs no number.
    with np.errstate(over="ignore", invalid="ignore"):
        greatest = np.maximum.reduceat(np.abs(values), trees).sum(axis=0)
        sound = np.isfinite(abs(output.scale) * greatest + np.abs(output.bias))
    if not sound.all():
        raise ModelRefused("its leaves hold values that are not numbers, or too great to add up")
    if output.loss == _ONE_VS_ALL:
        gaps = np.maximum.reduceat(np.abs(values.sum(axis=1)), trees).sum()
        if abs(output.scale) * gaps + abs(sum(output.bias)) > _SAME:
            raise ModelRefused("the probabilities of its two classes do not add up to 1")
    least, most = (
        output.scale * reduceat(output.log_odds(values, 1), trees).sum()
        for reduceat in (np.minimum.reduceat, np.maximum.reduceat)
    )
    shift = output.log_odds(np.array([output.bias]), 1)
    if abs(_probability(most + shift) - _probability(least + shift)) < _SAME:
        raise ModelRefused("it gives every reading the same score")


def _probability(log_odds: Array) -> float:
    with np.errstate(over="ignore"):
        return float(1 / (1 + np.exp(-log_odds.item())))
