"""The 41 features of a reading, in the model's own order.

The contract is the table of features; the oddities in it are load-bearing, because models
were trained on them:
- `foreign_sym` is always missing: the customer's counter never returned its count;
- a symbol that does not occur scores 1, the best confidence there is;
- characters and scores are paired from the left, up to the shorter of the two, so a score
  list that is too long or too short changes nothing else;
- an empty score list counts as [0].
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from math import nan
from operator import itemgetter
from typing import Final, TypeAlias

from model.errors import ModelRefused
from model.regno.plates import category
from model.regno.request import Reading

Value: TypeAlias = float | int | str
Row: TypeAlias = Sequence[Value]

# The letters of Russian plates are those with a Latin twin; all here but D are Cyrillic.
SYMBOLS: Final = (*"0123456789", *"DАВЕКМНОРСТУХ")
CATEGORICAL: Final = (
    *("camera_type", "camera_class", "weekday", "month"),
    *("regno_template", "regno_template_ai"),
)
# Of these a model has seen what its rows happened to hold: a new month is no unknown category.
CALENDAR: Final = ("weekday", "month")
TEXT: Final = ("afts_regno_ai_text", "regno_recognize_text")
NUMERIC: Final = (
    *("afts_regno_ai_score", "direction", "recognition_accuracy"),
    *("max_sym_score", "min_sym_score", "max_len_score", "ai_len", "cam_len"),
    *("foreign_sym", "hour"),
    *SYMBOLS,
)
NAMES: Final = (*NUMERIC, *CATEGORICAL, *TEXT)
# The field of the request that a feature is made of, where it is not one itself.
_MADE_OF: Final = {
    **dict.fromkeys(("max_sym_score", "min_sym_score", *SYMBOLS), "afts_regno_ai_char_scores"),
    "max_len_score": "afts_regno_ai_length_scores",
    **dict.fromkeys(("hour", "weekday", "month"), "time_check"),
    **dict.fromkeys(("cam_len", "regno_template", "regno_recognize_text"), "regno_recognize"),
    **dict.fromkeys(("ai_len", "regno_template_ai", "afts_regno_ai_text"), "afts_regno_ai"),
}


def field_of(feature: str) -> str:
    """The field of the request that a feature is made of."""
    return _MADE_OF.get(feature, feature)


def all_features(reading: Reading) -> list[Value]:
    """Every feature, in the order of `NAMES`."""
    camera, network = reading.regno_recognize, reading.afts_regno_ai
    scores = reading.afts_regno_ai_char_scores or (0,)
    lengths = reading.afts_regno_ai_length_scores or (0,)
    time = reading.time_check
    return [
        reading.afts_regno_ai_score,
        reading.direction,
        reading.recognition_accuracy,
        max(scores),
        min(scores),
        max(lengths),
        len(network),
        len(camera),
        nan,
        time.hour,
        *map(_least_scores(network, scores).get, SYMBOLS, repeat(1)),
        reading.camera_type,
        reading.camera_class,
        time.weekday,
        time.month,
        category(camera),
        category(network),
        " ".join(network),
        " ".join(camera),
    ]


def _least_scores(network: str, scores: Sequence[float]) -> dict[str, float]:
    """The least score of each symbol that occurs."""
    least: dict[str, float] = {}
    for symbol, score in zip(network, scores, strict=False):
        if symbol not in least or score < least[symbol]:
            least[symbol] = score
    return least


def in_order_of(wanted: Sequence[str]) -> Callable[[Reading], Row]:
    """A function from a reading to its row in the order a model declares.

    Raises ModelRefused, naming every feature that is not on the contract's page.
    """
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise ModelRefused(f"it wants features that are not known: {', '.join(unknown)}")
    order = [NAMES.index(name) for name in wanted]
    if len(order) == 1:  # itemgetter of one index gives a bare value, not a row
        return lambda reading: (all_features(reading)[order[0]],)
    pick = itemgetter(*order)
    return lambda reading: pick(all_features(reading))
