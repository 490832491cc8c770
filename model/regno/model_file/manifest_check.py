"""Whether a manifest fits its model: its values go into headers, logs and metrics.

Each check is a generator of faults; a fault begins with the manifest's field.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from math import isfinite
from typing import Final

from model.drift.counter import OTHER, SCORE, Variable
from model.names import PLATE, RULE, is_name, is_plate, printable
from model.redaction import is_whole_plate, redact
from model.regno import differences, golden
from model.regno.features import CATEGORICAL, KINDS
from model.regno.model_file.calibration import Isotonic, Platt
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from model.regno.request import LONGEST

# Shares are rounded to six digits, and there may be as many as there are categories.
_ROUNDED: Final = 0.01
_LONGEST_TEXT: Final = 300
# Each value of a category has its own time series.
_MOST_VALUES: Final = 10_000


def fault(manifest: Manifest, model: BinaryModel) -> str:
    """The first fault of a manifest, beginning with the field; "" if there is none."""
    faults = chain(
        _names(manifest),
        _features(manifest, model),
        _classes(manifest, model),
        _vocabularies(manifest, model),
        _golden(manifest),
        _reference(manifest, model),
        _borders(manifest, model),
        _plate_lengths(manifest),
        _calibration(manifest),
        _thresholds(manifest),
        _texts(manifest),
    )
    return next(faults, "")


def _names(manifest: Manifest) -> Iterator[str]:
    for field in ("name", "version"):
        text = getattr(manifest, field)
        if not is_name(text):
            yield f"{field}: {printable(text)} is not a name: {RULE}"
        if is_plate(text):
            yield f"{field}: {PLATE}"


def _features(manifest: Manifest, model: BinaryModel) -> Iterator[str]:
    if [(feature.name, feature.kind) for feature in manifest.features] != model.features:
        yield "features: it lists other features than the model declares"


def _classes(manifest: Manifest, model: BinaryModel) -> Iterator[str]:
    names = list(model.classes.names)
    if manifest.classes and manifest.classes != names:
        yield f"classes: those of the model are {' and '.join(names)}, in this order"
    if manifest.positive_class and manifest.positive_class != model.classes.positive:
        yield f"positive_class: it is {model.classes.positive}"


def _vocabularies(manifest: Manifest, model: BinaryModel) -> Iterator[str]:
    kinds = dict(model.features)
    for name, values in manifest.vocabularies.items():
        if name in differences.CATEGORICAL:
            yield f"vocabularies: {name} is made of what was read, so none of its values is unknown"
        elif name not in CATEGORICAL or kinds.get(name) != "categorical":
            yield f"vocabularies: {printable(name)} is not a category that the model takes"
        yield from _sizes(f"vocabularies: {name}", values)


def _golden(manifest: Manifest) -> Iterator[str]:
    scores, rows = manifest.golden, len(golden.readings())
    if scores and len(scores) != rows:
        yield f"golden: it has {len(scores)} scores of {rows} rows"
    if not all(0 <= score <= 1 for score in scores):
        yield "golden: a score is not a probability"


def _reference(manifest: Manifest, model: BinaryModel) -> Iterator[str]:
    names = [variable.name for variable in manifest.reference]
    if len(set(names)) < len(names):
        yield "reference: a variable is there twice"
    taken = {SCORE, *(name for name, _ in model.features)}
    for variable in manifest.reference:
        if variable.name not in taken:
            yield f"reference: {printable(variable.name)} is not a feature of the model"
        yield from _sizes(f"reference: {variable.name}", variable.values or variable.bounds)
        for wrong in (*_bins(variable), *_shares(variable)):
            yield f"reference: {variable.name}: {wrong}"


def _bins(variable: Variable) -> Iterator[str]:
    kind = "numeric" if variable.name == SCORE else KINDS.get(variable.name)
    if kind == "categorical":
        if not variable.values or variable.bounds:
            yield "a category has values, and no bounds"
    elif kind == "numeric":
        if not variable.bounds or variable.values:
            yield "a number has bounds, and no values"
    else:
        yield "texts have no bins"
    if not _rises(variable.bounds):
        yield "its bounds are not rising numbers"
    if len(set(variable.bins)) < len(variable.bins):
        yield f"two of its bins have one name, or a value is called {OTHER}"


def _shares(variable: Variable) -> Iterator[str]:
    if len(variable.shares) != len(variable.bins):
        yield f"it has {len(variable.shares)} shares of {len(variable.bins)} bins"
    # Not `share < 0 or share > 1`, which NaN is not either.
    if not all(0 <= share <= 1 for share in variable.shares):
        yield "a share is none"
    if not abs(sum(variable.shares) - 1) <= _ROUNDED:
        yield "its shares do not add up to 1"
    if not 0 <= variable.importance <= 1:
        yield "its importance is not a share"


def _sizes(field: str, values: Sequence[object]) -> Iterator[str]:
    if len(values) > _MOST_VALUES:
        yield f"{field}: it has more than {_MOST_VALUES} values"
    if any(isinstance(value, str) and len(value) > LONGEST for value in values):
        yield f"{field}: a value is longer than any that is scored"
    if any(isinstance(value, str) and is_whole_plate(value) for value in values):
        yield f"{field}: {PLATE}"


def _borders(manifest: Manifest, model: BinaryModel) -> Iterator[str]:
    kinds = dict(model.features)
    for name, borders in manifest.borders.items():
        if kinds.get(name) != "numeric":
            yield f"borders: {printable(name)} is not a number that the model takes"
        if not _rises(borders):
            yield f"borders: {printable(name)}: they are not rising numbers"


def _plate_lengths(manifest: Manifest) -> Iterator[str]:
    if manifest.plate_lengths > LONGEST:
        yield "plate_lengths: no list that is scored is so long"


def _calibration(manifest: Manifest) -> Iterator[str]:
    calibration = manifest.calibration
    if isinstance(calibration, Platt) and not isfinite(calibration.slope + calibration.intercept):
        yield "calibration: slope or intercept is not a number"
    if isinstance(calibration, Isotonic):
        if len(calibration.scores) != len(calibration.probabilities):
            yield "calibration: there are not as many probabilities as scores"
        if not _rises(calibration.scores):
            yield "calibration: scores are not rising numbers"
        # Not `low > high`, which NaN is not either.
        if not all(low <= high for low, high in pairwise((0, *calibration.probabilities, 1))):
            yield "calibration: probabilities do not rise from 0 to 1"
        if calibration.probabilities[0] == calibration.probabilities[-1]:
            yield "calibration: it gives every reading the same score"


def _thresholds(manifest: Manifest) -> Iterator[str]:
    # Not `camera > network`, which NaN is not either.
    if (own := manifest.thresholds) and not 0 <= own.camera <= own.network <= 1:
        yield "thresholds: they must be from 0 to 1, the camera's not above the network's"


def _texts(manifest: Manifest) -> Iterator[str]:
    last = manifest.training.get("last", "")
    if not isinstance(last, str):
        yield "training: last is not text"
    elif redact(last) != last:
        yield f"training: last: {PLATE}"
    reason = manifest.unexplained or ""
    if len(reason) > _LONGEST_TEXT or (reason and not reason.isprintable()):
        yield "unexplained: it is too long, or not printable"
    elif redact(reason) != reason:
        yield f"unexplained: {PLATE}"


def _rises(numbers: Sequence[float]) -> bool:
    return all(map(isfinite, numbers)) and all(low < high for low, high in pairwise(numbers))
