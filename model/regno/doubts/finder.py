"""What makes a reading doubtful: it is scored as it is, but the score is hardly to be trusted.

A warning is named by its kind and by what it is about, as in `X-Score-Warnings`:

    unseen-category:FEATURE       a category that the model never saw; not one of the calendar
    lookalike-letters:PLATE       Latin letters where Cyrillic ones are meant
    out-of-range:FIELD            a confidence in a list below 0 or above 1, whatever the features
                                  make of it; a reading shorter or longer than any plate
    length-mismatch:LIST          another number of confidences than belongs to the reading
    implausible-time:time_check   a date before 1990 or after tomorrow: a placeholder, a wrong clock
    readings-agree                both readings are of one plate: there is nothing to decide
    normalised:FIELD              a guard put the value right; it replaces the warning of the value

An empty list is not a mismatch: the contract says what it counts as.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from time import time
from typing import Any, Final, TypeAlias

import numpy as np

from model.regno.columns import characters
from model.regno.columns.characters import Readings
from model.regno.columns.ragged import Lists
from model.regno.columns.table import Columns
from model.regno.doubts.ranges import CONFIDENCE, Bounds
from model.regno.model_file.manifest import USUAL_LENGTHS
from model.regno.plates import agree, has_lookalikes, is_plain
from model.regno.request import Reading

Array: TypeAlias = np.ndarray[Any, Any]

UNSEEN: Final = "unseen-category"
LOOKALIKE: Final = "lookalike-letters"
OUT_OF_RANGE: Final = "out-of-range"
MISMATCH: Final = "length-mismatch"
IMPLAUSIBLE: Final = "implausible-time"
AGREE: Final = "readings-agree"
NORMALISED: Final = "normalised"

CAMERA: Final = "regno_recognize"
NETWORK: Final = "afts_regno_ai"
# The fields that hold a plate.
PLATES: Final = (CAMERA, NETWORK)
CHARACTERS: Final = "afts_regno_ai_char_scores"
LENGTHS: Final = "afts_regno_ai_length_scores"

_LEAST, _GREATEST = CONFIDENCE.with_a_hair()

EARLIEST_DAY: Final = date(1990, 1, 1).toordinal()
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400


def named(kind: str, field: str) -> str:
    """The name of a warning of a kind; `field` is what it is about."""
    return f"{kind}:{field}"


def parts(warning: str) -> tuple[str, str]:
    """The kind of a warning and what it is about, "" if that is the reading as a whole."""
    kind, _, field = warning.partition(":")
    return kind, field


_CAMERA_LATIN, _NETWORK_LATIN = (named(LOOKALIKE, plate) for plate in PLATES)
_CAMERA_LENGTH, _NETWORK_LENGTH = (named(OUT_OF_RANGE, plate) for plate in PLATES)
_CHARACTERS_BEYOND, _LENGTHS_BEYOND = (named(OUT_OF_RANGE, f) for f in (CHARACTERS, LENGTHS))
_CHARACTERS_MISMATCH, _LENGTHS_MISMATCH = (named(MISMATCH, f) for f in (CHARACTERS, LENGTHS))
_TIME: Final = named(IMPLAUSIBLE, "time_check")

# All that there can be but for those of categories.
WARNINGS: Final = (
    *(_CAMERA_LATIN, _NETWORK_LATIN, _CAMERA_LENGTH, _NETWORK_LENGTH),
    *(_CHARACTERS_BEYOND, _LENGTHS_BEYOND, _CHARACTERS_MISMATCH, _LENGTHS_MISMATCH),
    *(_TIME, AGREE),
)


def latest_day() -> int:
    """The ordinal of tomorrow's date by UTC: no clock on Earth is past it."""
    return int(time()) // _DAY_SECONDS + _EPOCH + 1


def usual_lengths(sizes: Array) -> int:
    """For how many plate lengths a network has a confidence, by the sizes of its length lists."""
    given = sizes[sizes > 0]
    return int(np.bincount(given).argmax()) if given.size else USUAL_LENGTHS


class Doubts:
    """Finds the warnings of readings, but for those of categories, which only a model can tell."""

    def __init__(self, bounds: Mapping[str, Bounds], plate_lengths: int) -> None:
        """`bounds` are those of `ranges.of`; `plate_lengths` is as in a manifest."""
        self._camera, self._network = (bounds[plate] for plate in PLATES)
        self._plate_lengths = plate_lengths

    def of(self, reading: Reading) -> list[str]:
        """The warnings of one reading."""
        network = reading.afts_regno_ai
        warnings = self._of_plates(reading.regno_recognize, network)
        if scores := reading.afts_regno_ai_char_scores:
            if min(scores) < _LEAST or max(scores) > _GREATEST:
                warnings.append(_CHARACTERS_BEYOND)
            if len(scores) != len(network):
                warnings.append(_CHARACTERS_MISMATCH)
        if scores := reading.afts_regno_ai_length_scores:
            if min(scores) < _LEAST or max(scores) > _GREATEST:
                warnings.append(_LENGTHS_BEYOND)
            if len(scores) != self._plate_lengths or len(network) >= self._plate_lengths:
                warnings.append(_LENGTHS_MISMATCH)
        if not EARLIEST_DAY <= reading.time_check.day <= latest_day():
            warnings.append(_TIME)
        return warnings

    def count(self, columns: Columns) -> dict[str, int]:
        """In how many of many readings there is each warning; those that none has are left out."""
        characters, lengths = columns.character_scores, columns.length_scores
        camera_sizes, network_sizes = columns.camera.sizes, columns.network.sizes
        counts = _count_letters((columns.camera, columns.network))
        unfit = (lengths.sizes != self._plate_lengths) | (network_sizes >= self._plate_lengths)
        doubtful = {
            _CAMERA_LENGTH: _outside(camera_sizes, self._camera),
            _NETWORK_LENGTH: _outside(network_sizes, self._network),
            _CHARACTERS_BEYOND: _beyond(characters),
            _CHARACTERS_MISMATCH: (characters.sizes > 0) & (characters.sizes != network_sizes),
            _LENGTHS_BEYOND: _beyond(lengths),
            _LENGTHS_MISMATCH: (lengths.sizes > 0) & unfit,
            _TIME: (columns.day < EARLIEST_DAY) | (columns.day > latest_day()),
        }
        counts.update({warning: int(rows.sum()) for warning, rows in doubtful.items()})
        return dict(+counts)

    def _of_plates(self, camera: str, network: str) -> list[str]:
        warnings = _of_letters(camera, network)
        least, greatest = self._camera
        if not least <= len(camera) <= greatest:
            warnings.append(_CAMERA_LENGTH)
        least, greatest = self._network
        if not least <= len(network) <= greatest:
            warnings.append(_NETWORK_LENGTH)
        return warnings


def _of_letters(camera: str, network: str) -> list[str]:
    """The warnings of two plates that do not depend on how long these are."""
    if is_plain(camera + network):  # nearly always, and what follows takes long
        return [AGREE] if camera == network else []
    warnings = []
    if has_lookalikes(camera):
        warnings.append(_CAMERA_LATIN)
    if has_lookalikes(network):
        warnings.append(_NETWORK_LATIN)
    if agree(camera, network):
        warnings.append(AGREE)
    return warnings


def _count_letters(plates: tuple[Readings, Readings]) -> Counter[str]:
    """In how many pairs of plates, the camera's and the network's, there is each warning."""
    camera, network = plates
    kinds = characters.kinds(camera), characters.kinds(network)
    greatest = np.maximum(*kinds)
    same = characters.same(camera, network)
    is_other = (greatest > characters.PLAIN) & (greatest < characters.SPECIAL)
    same[is_other] = characters.agree(camera.codes[is_other], network.codes[is_other])
    special = np.flatnonzero(greatest == characters.SPECIAL)
    same[special] = False
    counts: Counter[str] = Counter({AGREE: int(same.sum())})
    pairs = ((camera.texts[row], network.texts[row]) for row in special.tolist())
    for pair, times in Counter(pairs).items():
        counts.update(dict.fromkeys(_of_letters(*pair), times))
    for at, warning in enumerate((_CAMERA_LATIN, _NETWORK_LATIN)):
        rows = np.flatnonzero(is_other & (kinds[at] == characters.LOOKALIKE)).tolist()
        counts[warning] += sum(has_lookalikes(plates[at].texts[row]) for row in rows)
    return counts


def _outside(sizes: Array, bounds: Bounds) -> Array:
    least, greatest = bounds
    outside: Array = (sizes < least) | (sizes > greatest)
    return outside


def _beyond(lists: Lists) -> Array:
    """Where a list has a number that is not a confidence."""
    beyond: Array = (lists.least < _LEAST) | (lists.greatest > _GREATEST)
    return beyond
