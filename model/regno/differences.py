"""The twelve features of feature set v2: where the two readings differ.

A place is an index at which both readings have a character, and not the same one: characters are
Unicode code points. The network's confidences belong to the places of their indices, whatever the
lengths of the readings; an empty list counts as [0].
"""

from collections.abc import Sequence
from math import prod
from typing import Final

from model.regno.request import Reading

NUMERIC: Final = (
    *("diff_count", "diff_length", "diff_first", "diff_last"),
    *("diff_min_score", "diff_product_score", "same_min_score"),
    *("camera_length_score", "network_length_score"),
)
# Whole numbers, which CatBoost takes as categories too.
WHOLE: Final = NUMERIC[:4]
# Made of the characters read, so that there is no list of known values: new ones come every day.
CATEGORICAL: Final = ("diff_pair", "camera_tail", "network_tail")
NAMES: Final = (*NUMERIC, *CATEGORICAL)

# The value of `diff_pair` for readings that differ at no place: in their length, or not at all.
LENGTH: Final = "length"
_TAIL: Final = 3
_EMPTY: Final = (0.0,)


def of_reading(reading: Reading) -> list[float | int | str]:
    """The twelve features, in the order of `NAMES`."""
    camera, network = reading.regno_recognize, reading.afts_regno_ai
    lengths = reading.afts_regno_ai_length_scores or _EMPTY
    places = differing(camera, network)
    first = places[0] if places else -1
    return [
        len(places),
        abs(len(camera) - len(network)),
        first,
        places[-1] if places else -1,
        *scores_at(places, reading.afts_regno_ai_char_scores or _EMPTY),
        _score_of(len(camera), lengths),
        _score_of(len(network), lengths),
        camera[first] + network[first] if places else LENGTH,
        tail(camera),
        tail(network),
    ]


def differing(camera: str, network: str) -> list[int]:
    """The places, in rising order."""
    pairs = zip(camera, network, strict=False)
    return [place for place, (one, other) in enumerate(pairs) if one != other]


def scores_at(places: Sequence[int], scores: Sequence[float]) -> tuple[float, float, float]:
    """The least score at the places, the product of these, and the least score elsewhere.

    Each is 1 where there is no such score. The product is taken from left to right and is 0 if any
    of its factors is: an overflow before it would make it NaN.
    """
    last = len(scores)
    inside = [scores[place] for place in places if place < last]
    among = set(places)  # a list would make a hostile row of a thousand characters take 10 ms
    elsewhere = [score for place, score in enumerate(scores) if place not in among]
    product = 0.0 if 0 in inside else prod(inside)
    return min(inside, default=1), product, min(elsewhere, default=1)


def tail(reading: str) -> str:
    """The last three characters of a reading, all of a shorter one."""
    return reading[-_TAIL:]


def _score_of(length: int, lengths: Sequence[float]) -> float:
    return lengths[length] if length < len(lengths) else 0
