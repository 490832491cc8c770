"""The features of `model.regno.differences` for many readings at once.

They are computed from matrices of characters and confidences, which are only so wide: what does not
fit is computed row by row.
"""

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from model.regno.columns.characters import WIDTH, Readings
from model.regno.columns.ragged import Lists
from model.regno.differences import LENGTH, differing, scores_at

Array: TypeAlias = np.ndarray[Any, Any]

# A pair of characters as a number: the first one's code above the second one's.
_CODE_BITS: Final = 32
_NO_PAIR: Final = np.uint64(2**64 - 1)


class Differences(NamedTuple):
    """Where `n` pairs of readings differ: `diff_count` and its like, each of shape (n,).

    `pairs` are numbers for `pair_categories`.
    """

    size: Array
    first: Array
    last: Array
    least: Array
    product: Array
    least_elsewhere: Array
    pairs: Array


def differences(camera: Readings, network: Readings, scores: Lists) -> Differences:
    """The differences of readings."""
    codes = camera.codes, network.codes
    shared = np.minimum(camera.sizes, network.sizes)
    differ = (codes[0] != codes[1]) & (np.arange(WIDTH) < shared[:, None])
    size = differ.sum(axis=1)
    first = np.where(size > 0, differ.argmax(axis=1), -1)
    last = np.where(size > 0, WIDTH - 1 - differ[:, ::-1].argmax(axis=1), -1)
    made = Differences(size, first, last, *_scores(differ, scores), _pairs(codes, first))
    for row in np.flatnonzero((shared > WIDTH) | (scores.sizes > WIDTH)).tolist():
        pair = camera.texts[row], network.texts[row]
        _replace(made, row, pair, scores.row(row).tolist())
    return made


def _scores(differ: Array, scores: Lists) -> tuple[Array, Array, Array]:
    """The least score where the readings differ, the product, the least score elsewhere."""
    values = scores.matrix(WIDTH, np.inf)
    differ = differ[:, : values.shape[1]]
    inside = differ & (values < np.inf)
    factors = np.where(inside, values, 1)
    product = np.ones(len(values))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # By columns: a reduction may multiply in another order than from left to right.
        for column in factors.T:
            product *= column
    product[(factors == 0).any(axis=1)] = 0
    return _least(values, inside), product, _least(values, ~differ)


def _least(values: Array, wanted: Array) -> Array:
    """The least of the wanted values of each row, which are finite; 1 if there is none."""
    least: Array = np.where(wanted, values, np.inf).min(axis=1)
    return np.where(np.isinf(least), 1, least)


def _pairs(codes: tuple[Array, Array], first: Array) -> Array:
    rows = np.arange(len(first))
    camera, network = (matrix[rows, first].astype(np.uint64) for matrix in codes)
    return np.where(first < 0, _NO_PAIR, camera << np.uint64(_CODE_BITS) | network)


def _replace(made: Differences, row: int, readings: tuple[str, str], scores: list[float]) -> None:
    """Replace a row by what the functions for single readings say."""
    camera, network = readings
    places = differing(camera, network)
    numbers = scores_at(places, scores)
    made.size[row] = len(places)
    made.first[row], made.last[row] = (places[0], places[-1]) if places else (-1, -1)
    made.least[row], made.product[row], made.least_elsewhere[row] = numbers
    if places:
        one, other = ord(camera[places[0]]), ord(network[places[0]])
        made.pairs[row] = one << _CODE_BITS | other


def pair_categories(pairs: Array) -> tuple[Array, list[str]]:
    """`Differences.pairs` as indices into distinct values of `diff_pair`, and these values."""
    at, distinct = pd.factorize(pairs)
    return at, [_pair(number) for number in distinct.tolist()]


def _pair(number: int) -> str:
    if number == int(_NO_PAIR):
        return LENGTH
    return chr(number >> _CODE_BITS) + chr(number & (1 << _CODE_BITS) - 1)
