"""A version's file with a new calibration, by labels that came while it served.

Only the manifest changes: the trees, and so the order of the scores within a calibration's pieces,
stay as they are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from model.drift.counter import SCORE, numeric
from model.errors import DataRefused, ModelRefused
from model.regno import golden
from model.regno.model_file.calibration import Calibration
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from model.regno.request import Reading
from model.regno.scorer import RegnoScorer
from model.regno.training import calibrators
from model.regno.training.calibrators import Method

Array: TypeAlias = np.ndarray[Any, Any]

# Of fewer labels a calibration says more about them than about the model.
LEAST_ROWS: Final = 200
# The newest ones measure what the others came to.
_MEASURED: Final = 0.25


class Recalibrated(NamedTuple):
    """The new manifest, and probabilities of the newest readings by the old and the new one.

    The newest readings are the last `len(before)`; `after` is by a calibration of the others, as a
    calibration of all, which the manifest has, would be measured by what it has seen.
    """

    manifest: Manifest
    before: list[float]
    after: list[float]


def recalibrated(  # noqa: PLR0913, PLR0917 - what a calibration is made of
    path: Path,
    readings: Sequence[Reading],
    labels: Sequence[int],
    weights: Sequence[float],
    method: Method,
    version: str,
) -> Recalibrated:
    """The version of a file, calibrated by labelled readings in the order of time.

    Raises ModelRefused, and DataRefused for labels that don't suffice.
    """
    scorer = RegnoScorer.load(path)
    if scorer.manifest is None:
        raise ModelRefused(f"{path} has no manifest: add it to a registry first")
    if scorer.manifest.thresholds:
        raise ModelRefused(
            f"{scorer.version} has thresholds of its own, which hold for its calibration alone"
        )
    if len(readings) < LEAST_ROWS:
        raise DataRefused(f"{len(readings)} labels: at least {LEAST_ROWS} are needed")
    model = BinaryModel.load(path, scorer.positive_class)
    raw = np.array(model.probabilities(scorer.rows(readings)))[:, 1]
    given, weighted = np.array(labels), np.array(weights, dtype=float)
    first = round(len(raw) * (1 - _MEASURED))
    earlier = calibrators.fit(method, given[:first], raw[:first], weighted[:first])
    final = calibrators.fit(method, given, raw, weighted)
    return Recalibrated(
        _described(model, scorer, version, final, raw, method),
        [score.positive for score in scorer.score(readings[first:])],
        earlier.apply(raw[first:]).tolist(),
    )


def _described(  # noqa: PLR0913, PLR0917 - of the one function above
    model: BinaryModel,
    scorer: RegnoScorer,
    version: str,
    calibration: Calibration,
    raw: Array,
    method: Method,
) -> Manifest:
    """The manifest: what was measured with another calibration is not in it."""
    old: Any = scorer.manifest
    made: Manifest = msgspec.structs.replace(
        old,
        version=version,
        calibration=calibration,
        training={
            **old.training,
            "calibration": method,
            "recalibrated": {"version": old.version, "rows": len(raw)},
        },
        metrics={},
        reference=[
            numeric(SCORE, calibration.apply(raw).tolist()) if each.name == SCORE else each
            for each in old.reference
        ],
    )
    positives = [score.positive for score in RegnoScorer(model, made).score(golden.readings())]
    return msgspec.structs.replace(made, golden=positives)
