"""Which numbers are beyond all that a model can have learnt from.

The contract bounds some numbers itself and refuses others; these it lets through: the
confidences of characters and lengths, and how long the readings are. What they mean bounds
them, and a model that splits beyond these bounds was trained on more.
"""

from typing import Final, TypeAlias

from model.regno.catboost_file import BinaryModel
from model.regno.features import SYMBOLS

Range: TypeAlias = tuple[int, str, float, float]

# A share that was worked out in single precision may end a hair above 1.
_HAIR: Final = 1e-6
_CONFIDENCE: Final = (0.0, 1.0)
# From the shortest plate format to the longest.
_LENGTH: Final = (6.0, 11.0)
_MEANT: Final = {
    **dict.fromkeys(("max_sym_score", "min_sym_score", *SYMBOLS, "max_len_score"), _CONFIDENCE),
    **dict.fromkeys(("ai_len", "cam_len"), _LENGTH),
}


def of(model: BinaryModel) -> list[Range]:
    """(index in a row, feature, least, greatest); a number that no tree splits on has none."""
    borders = model.borders()
    return [
        (
            index,
            name,
            min(_MEANT[name][0], borders[name][0]),
            max(_MEANT[name][1], borders[name][-1]),
        )
        for index, (name, _) in enumerate(model.features)
        if name in _MEANT and name in borders
    ]


def is_beyond(value: float, least: float, greatest: float) -> bool:
    """Whether a value is outside a range."""
    return not least - _HAIR <= value <= greatest + _HAIR
