"""Two models on the same labelled rows: which is better, and who is right where they differ."""

from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct

from model.regno.evaluation.bootstrap import Difference, differences
from model.regno.evaluation.parity import flips
from model.regno.scorer import RegnoScorer

Array: TypeAlias = np.ndarray[Any, Any]


class Comparison(Struct, frozen=True):
    """The comparison with another model, of this `version` and `sha256`.

    At one half the two decide differently in `flips` rows; this model is right in `rightly` of
    them.
    """

    version: str
    sha256: str
    measures: dict[str, Difference]
    flips: int
    rightly: int


def learnt_until(scorer: RegnoScorer, first: str) -> str:
    """Up to which time a model learnt, if rows from `first` on may be among those, else "".

    Models whose manifest does not say count as if they had learnt from none.
    """
    last = str(scorer.manifest.training.get("last", "")) if scorer.manifest else ""
    return last if last >= first.replace("T", " ") else ""


def compare(
    labels: Array, new: Array, other: Array, named: tuple[str, str], seed: int
) -> Comparison:
    """The comparison of the probabilities `new` with those of another model, all of shape (rows,).

    `labels` are 0 or 1 and of both kinds; the other model is named by (version, sha256).
    """
    flipped = flips(new, other)
    return Comparison(
        *named,
        measures=differences(labels, new, other, seed),
        flips=int(flipped.sum()),
        rightly=int((flipped & ((new > 0.5) == (labels == 1))).sum()),
    )
