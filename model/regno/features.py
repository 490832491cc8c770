"""The features of a reading, in the model's own order.

The customer's contract is the 41 of feature set v1, in `NAMES`; v2 adds those of `differences`. A
model declares any of them, by name. The oddities of the 41 are load-bearing, because models were
trained on them:
- `foreign_sym` is always missing: the customer's counter never returned its count;
- a symbol that does not occur scores 1, the best confidence there is;
- characters and scores are paired from the left, up to the shorter of the two, so a score
  list that is too long or too short changes nothing else;
- an empty score list counts as [0].
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from math import nan
from operator import itemgetter
from typing import Final, TypeAlias

from model.errors import ModelRefused
from model.regno import differences
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
# Of these a model has seen what its rows happened to hold: a new month is not an unknown category.
CALENDAR: Final = ("weekday", "month")
TEXT: Final = ("afts_regno_ai_text", "regno_recognize_text")
NUMERIC: Final = (
    *("afts_regno_ai_score", "direction", "recognition_accuracy"),
    *("max_sym_score", "min_sym_score", "max_len_score", "ai_len", "cam_len"),
    *("foreign_sym", "hour"),
    *SYMBOLS,
)
NAMES: Final = (*NUMERIC, *CATEGORICAL, *TEXT)
# The kind of each feature that a model may declare: what its values are.
KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(NUMERIC, "numeric"),
    **dict.fromkeys(CATEGORICAL, "categorical"),
    **dict.fromkeys(TEXT, "text"),
    **dict.fromkeys(differences.NUMERIC, "numeric"),
    **dict.fromkeys(differences.CATEGORICAL, "categorical"),
}
# The feature sets that a model can be trained on, by name.
SETS: Final[Mapping[str, tuple[str, ...]]] = {
    "v1": NAMES,
    "v2": tuple(KINDS),
    "v2-notext": tuple(name for name in KINDS if name not in TEXT),
}
# The field of the request that a feature is made of, where it is not one itself.
_MADE_OF: Final = {
    **dict.fromkeys(("max_sym_score", "min_sym_score", *SYMBOLS), "afts_regno_ai_char_scores"),
    "max_len_score": "afts_regno_ai_length_scores",
    **dict.fromkeys(("hour", "weekday", "month"), "time_check"),
    **dict.fromkeys(("cam_len", "regno_template", "regno_recognize_text"), "regno_recognize"),
    **dict.fromkeys(("ai_len", "regno_template_ai", "afts_regno_ai_text"), "afts_regno_ai"),
}


def field_of(feature: str) -> str:
    """The field of the request that a feature of the 41 is made of."""
    return _MADE_OF.get(feature, feature)


def all_features(reading: Reading) -> list[Value]:
    """The 41 features of set v1, in the order of `NAMES`."""
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

    Features of set v2 are computed only if one of them is wanted.
    Raises ModelRefused, naming every feature that is not known.
    """
    unknown = [name for name in wanted if name not in KINDS]
    if unknown:
        raise ModelRefused(f"it uses unknown features: {', '.join(unknown)}")
    with_differences = not set(wanted).isdisjoint(differences.NAMES)
    compute = _with_differences if with_differences else all_features
    known = list(KINDS)
    order = [known.index(name) for name in wanted]
    if len(order) == 1:  # itemgetter of one index gives a bare value, not a row
        return lambda reading: (compute(reading)[order[0]],)
    pick = itemgetter(*order)
    return lambda reading: pick(compute(reading))


def _with_differences(reading: Reading) -> list[Value]:
    """Every feature, in the order of `KINDS`."""
    return [*all_features(reading), *differences.of_reading(reading)]
