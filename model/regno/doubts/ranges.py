"""Which numbers are beyond what they can mean to a model.

The contract bounds some numbers itself and refuses others; these it lets through: the
confidences of characters and lengths, and how long the readings are.
"""

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from model.regno.model_file.catboost_file import BinaryModel


class Bounds(NamedTuple):
    """What is within a range; both ends belong to it."""

    least: float
    greatest: float

    def with_a_hair(self) -> "Bounds":
        """The same for shares that were worked out in single precision: they may end above 1."""
        return Bounds(self.least - 1e-6, self.greatest + 1e-6)


CONFIDENCE: Final = Bounds(0.0, 1.0)
# From the shortest plate format to the longest.
_LENGTH: Final = Bounds(6.0, 11.0)
_LENGTHS: Final = {"regno_recognize": "cam_len", "afts_regno_ai": "ai_len"}
_LISTS: Final = ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores")


# Of readings, where there is no model that could care for their lengths.
ANY: Final = {**dict.fromkeys(_LENGTHS, Bounds(0, inf)), **dict.fromkeys(_LISTS, CONFIDENCE)}


def of(model: BinaryModel) -> dict[str, Bounds]:
    """What the numbers in each list should be within, and the length of each reading, by field.

    A model that splits beyond the lengths of plates was trained on such readings, too. One that
    does not split on a length at all takes any.
    """
    borders = model.borders()
    used = {field: borders[name] for field, name in _LENGTHS.items() if name in borders}
    return ANY | {field: _widened(values) for field, values in used.items()}


def _widened(borders: Sequence[float]) -> Bounds:
    return Bounds(min(_LENGTH.least, borders[0]), max(_LENGTH.greatest, borders[-1]))
