"""Phrases for the features: one for each, with the row's value.

The phrases of the two text features leave out the value, which is a whole plate.
"""

from collections.abc import Callable
from typing import Final

from model.regno.differences import LENGTH
from model.regno.features import SYMBOLS, Value

_FORMATS: Final = {
    "unknown": "fits no known format",
    "private car": "has the format of a private car",
    " lk_taxi_r_pricep": "has the format of a taxi, a bus or a trailer",
    "lk_pricep_r_transit": "has the format of a trailer or a transit plate",
    "lk_moto_tract": "has the format of a motorcycle or a tractor",
    "some": "has the format letter, four digits, two letters",
    "lk_transit": "has the format of a transit plate",
    "lk_export": "has the format of an export plate",
    "lk_mvd_avto": "has the format of a police car",
    "lk_mvd_moto": "has the format of a police motorcycle",
    "lk_mvd_pricep": "has the format of a police trailer",
    "lk_diplomat": "has the format of a diplomat's car",
}
_DIRECTIONS: Final = {
    "0": "the vehicle comes towards the camera",
    "1": "the vehicle goes away from the camera",
}


def _with(phrase: str) -> Callable[[Value | None], str]:
    return lambda value: phrase.format(_short(value))


def _short(value: Value | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _format_of(reader: str) -> Callable[[Value | None], str]:
    return lambda value: f"{reader}'s reading {_FORMATS[str(value)]}"


def _symbol(symbol: str) -> Callable[[Value | None], str]:
    """A symbol that does not occur scores 1, like one that is quite sure."""
    sure = f"the network read no {symbol}, or is quite sure of it"
    doubt = _with(f"the network's least confidence in a {symbol} is {{}}")
    return lambda value: sure if value == 1 else doubt(value)


def _place(which: str) -> Callable[[Value | None], str]:
    """A place counts from 0, a person from 1."""
    return lambda value: (
        f"the readings differ {which} at character {int(value or 0) + 1}"
        if value != -1
        else "the readings differ at no character"
    )


def _ends_in(reader: str) -> Callable[[Value | None], str]:
    ends = _with(f"{reader}'s reading ends in {{}}")
    return lambda value: ends(value) if value else f"{reader} read nothing"


def _pair(value: Value | None) -> str:
    if value == LENGTH:
        return "the readings differ in their length at most"
    pair = str(value)
    return f"where they first differ, the camera read {pair[0]} and the network {pair[1]}"


_PHRASES: Final[dict[str, Callable[[Value | None], str]]] = {
    "afts_regno_ai_score": _with("the network's confidence in its reading is {}"),
    "direction": lambda value: _DIRECTIONS[str(value)],
    "recognition_accuracy": _with("the camera's confidence in its reading is {} %"),
    "max_sym_score": _with("the network's greatest confidence in a character is {}"),
    "min_sym_score": _with("the network's least confidence in a character is {}"),
    "max_len_score": _with("the network's confidence in the plate's length is {}"),
    "ai_len": _with("the network's reading has {} characters"),
    "cam_len": _with("the camera's reading has {} characters"),
    "foreign_sym": lambda _: "foreign symbols, which are never counted",
    "hour": _with("it was read in hour {} of the day"),
    **{symbol: _symbol(symbol) for symbol in SYMBOLS},
    "camera_type": _with("the camera's type is {}"),
    "camera_class": _with("the camera's class is {}"),
    "weekday": _with("it was read on a {}"),
    "month": _with("it was read in {}"),
    "regno_template": _format_of("the camera"),
    "regno_template_ai": _format_of("the network"),
    "afts_regno_ai_text": lambda _: "the characters that the network read",
    "regno_recognize_text": lambda _: "the characters that the camera read",
    "diff_count": _with("the number of characters in which the readings differ is {}"),
    "diff_length": _with("the lengths of the readings differ by {}"),
    "diff_first": _place("first"),
    "diff_last": _place("last"),
    "diff_min_score": _with("the network's least confidence where the readings differ is {}"),
    "diff_product_score": _with("the network's confidence in all differing characters is {}"),
    "same_min_score": _with("the network's least confidence elsewhere is {}"),
    "camera_length_score": _with("the network's confidence in the camera's length is {}"),
    "network_length_score": _with("the network's confidence in its own length is {}"),
    "diff_pair": _pair,
    "camera_tail": _ends_in("the camera"),
    "network_tail": _ends_in("the network"),
}


def phrase(feature: str, value: Value | None) -> str:
    """The phrase for a feature with this value."""
    return _PHRASES[feature](value)
