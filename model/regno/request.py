"""One request: the ten named fields, decoded and validated in one step.

`Reading` is both the validator and the source of the OpenAPI schema. Fields are taken by
name. Numbers may come as strings and score lists as strings holding a JSON list, because
that is what clients in the field send.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from model.request_decoder import EMPTY

# Calendar dates that exist, so that the published pattern admits nothing the service refuses.
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
# No look-ahead: the engines of Go and Rust have none, and clients compile the pattern.
_YEAR = r"(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    rf"|{_LEAP_YEAR}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
TIME_PATTERN: Final = rf"^{_DATE}(?:[ T]{_TIME}{_OFFSET}?)?$"

# Numbers in strings, as programs write them: plain decimals, and exponents of what is small.
# The decoder also reads the rest of JSON's number grammar, such as "1e1".
_ZERO = r"-?0(?:\.0+)?"
_SMALL = r"[0-9](?:\.[0-9]+)?[eE]-0{0,2}[1-9][0-9]{0,2}"
PERCENT_PATTERN: Final = rf"^(?:{_ZERO}|[1-9]?[0-9](?:\.[0-9]+)?|100(?:\.0+)?|{_SMALL})$"
UNIT_PATTERN: Final = rf"^(?:{_ZERO}|0\.[0-9]+|1(?:\.0+)?|{_SMALL})$"
DIRECTION_PATTERN: Final = rf"^(?:{_ZERO}|1(?:\.0+)?)$"
_HUGE = r"[1-9](?:\.[0-9]{1,20})?[eE]\+?(?:[0-9]{1,2}|[12][0-9]{2}|30[0-7])"
_PLAIN = r"(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?(?:[eE]-[0-9]{1,3})?"
_NUMBER = rf"-?(?:{_HUGE}|{_PLAIN})"
_WS = r"[ \t\r\n]*"
SCORES_PATTERN: Final = rf"^{_WS}\[{_WS}(?:{_NUMBER}{_WS}(?:,{_WS}{_NUMBER}{_WS})*)?\]{_WS}$"

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


# No reading, name or list comes near it; one row of megabytes would hold up all others.
LONGEST: Final = 1000


class WallClock:
    """When the plate was read, by the clock on the wall as written: no zone is applied.

    `day` is the date's proleptic Gregorian ordinal, as `date.toordinal` counts; `text` is what was
    sent, "" for a time that came otherwise.
    A plain class, since msgspec would decode a NamedTuple or a dataclass in its own way.
    """

    __slots__ = ("day", "hour", "month", "text", "weekday")

    def __init__(self, moment: datetime, text: str = "") -> None:
        self.text = text
        self.day = moment.toordinal()
        self.hour = moment.hour
        self.weekday = _WEEKDAYS[moment.weekday()]
        self.month = _MONTHS[moment.month - 1]


class Scores(list[float]):
    """Confidences in order, any length, finite."""


class Reading(Struct, gc=False):
    """Two readings of one number plate and what the two readers thought of them."""

    regno_recognize: Annotated[str, Meta(max_length=LONGEST, description="The camera's reading.")]
    afts_regno_ai: Annotated[str, Meta(max_length=LONGEST, description="The network's reading.")]
    recognition_accuracy: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="The camera's confidence, per cent.",
            extra_json_schema={"pattern": PERCENT_PATTERN},
        ),
    ]
    afts_regno_ai_score: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The network's confidence.",
            extra_json_schema={"pattern": UNIT_PATTERN},
        ),
    ]
    afts_regno_ai_char_scores: Annotated[
        Scores,
        Meta(description="The network's confidence per character, in order: one for each, 0 to 1."),
    ]
    afts_regno_ai_length_scores: Annotated[
        Scores, Meta(description="The network's confidence per plate length from 0 on, 0 to 1.")
    ]
    camera_type: Annotated[str, Meta(max_length=LONGEST, description="How the camera is mounted.")]
    camera_class: Annotated[str, Meta(max_length=LONGEST, description="The camera's product line.")]
    time_check: Annotated[WallClock, Meta(description="When the plate was read, wall clock.")]
    direction: Annotated[
        int,
        Meta(
            ge=0,
            le=1,
            description="0 towards the camera, 1 away from it.",
            extra_json_schema={"pattern": DIRECTION_PATTERN},
        ),
    ]


FIELDS: Final[tuple[str, ...]] = Reading.__struct_fields__

_time = re.compile(TIME_PATTERN)
_EXAMPLE: Final = "2021-08-01 09:02:59"
_BAD_TIME: Final = f"not a readable time such as {_EXAMPLE}"
_WANTED_TIME: Final = f"must be a wall-clock time, such as {_EXAMPLE}"
# Longer texts are none of the following; a search in them would take long.
_LONGEST_TIME: Final = 40
# What exports of tables hold in the place of a time.
_OTHER_TIMES: Final = (
    (re.compile(r"\d{9,10}(?:\.\d+)?"), "looks like Unix time in seconds, in UTC"),
    (re.compile(r"\d{12,13}(?:\.\d+)?"), "looks like Unix time in milliseconds, in UTC"),
    (re.compile(r"\d{18,19}"), "looks like Unix time in nanoseconds, in UTC"),
    (re.compile(r"[34567]\d{4}(?:\.\d+)?"), "looks like Excel's number of days"),
    (re.compile(r"(?i).*\d:\d\d.*[ap]\.?m\.?"), "looks like a time with AM or PM"),
    (re.compile(r"(?:\d\d?[./]){2}\d\d(?:[ T].*)?"), "has a year of two digits"),
)
_BAD_SCORES: Final = "must be a list of finite numbers, or a string holding one"
_WANTED_SCORES: Final = "a list is wanted, such as [0.99, 0.87]"
# What programs write in the place of a list, by its first sign and what is between its numbers.
_OTHER_LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "[": {
        " ": "has no commas between its numbers, as numpy prints them",
        ";": "has semicolons between its numbers",
    },
    "{": {",": "has braces, as PostgreSQL writes them"},
    "(": {",": "has round brackets"},
}
_scores_decoder = msgspec.json.Decoder(list[float])


def parse_wall_clock(text: object) -> WallClock:
    """`YYYY-MM-DD HH:MM[:SS[.f]]`, `T` or a space between, date alone, `Z` or an offset.

    Raises ValueError when `text` is not such a time.
    """
    # `$` would let a trailing newline through: fullmatch does not.
    if not isinstance(text, str) or not _time.fullmatch(text):
        raise ValueError(EMPTY if text == "" else _bad_time(text))
    return WallClock(datetime.fromisoformat(text), text)


def _bad_time(sent: object) -> str:
    """Why a value is not a time, with what it seems to be instead."""
    if not isinstance(sent, str) or len(sent) > _LONGEST_TIME:
        return _BAD_TIME
    form = next((form for pattern, form in _OTHER_TIMES if pattern.fullmatch(sent.strip())), "")
    return f"{form}: {_WANTED_TIME}" if form else _BAD_TIME


def parse_scores(value: object) -> Scores:
    """A list of finite numbers, or a string holding the JSON of one.

    Raises ValueError naming no element: the values are not for error texts.
    """
    try:
        if isinstance(value, str):
            scores = Scores(_scores_decoder.decode(value))
        else:
            scores = Scores(msgspec.convert(value, list[float]))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(_bad_scores(value)) from error
    if len(scores) > LONGEST:
        raise ValueError(f"must hold at most {LONGEST} numbers")
    if not isinstance(value, str) and not all(
        map(isfinite, scores)
    ):  # no JSON holds these, but a notebook's list may
        raise ValueError(_BAD_SCORES)
    return scores


def _bad_scores(sent: object) -> str:
    """Why a value is not a list, with what it seems to be instead."""
    if sent == "":
        return EMPTY
    if not isinstance(sent, str) or sent[:1] not in _OTHER_LISTS:
        return _BAD_SCORES
    between = next((sign for sign in ",; " if sign in sent[1:-1].strip()), "")
    form = _OTHER_LISTS[sent[0]].get(between)
    return f"{form}: {_WANTED_SCORES}" if form else _BAD_SCORES


def decode_custom(kind: type, value: object) -> Any:
    """msgspec's `dec_hook` for the two field types of our own."""
    return parse_wall_clock(value) if kind is WallClock else parse_scores(value)


def _encode_custom(value: object) -> Any:
    """msgspec's `enc_hook` for the two."""
    return value.text if isinstance(value, WallClock) else list[Any](value)  # type: ignore[call-overload]


encode_reading: Final = msgspec.json.Encoder(enc_hook=_encode_custom).encode


def describe_custom(kind: type) -> dict[str, Any]:
    """msgspec's `schema_hook` for the same two types."""
    if kind is WallClock:
        return {"type": "string", "pattern": TIME_PATTERN}
    return {
        "anyOf": [
            {"type": "array", "items": {"type": "number"}, "maxItems": LONGEST},
            {"type": "string", "pattern": SCORES_PATTERN},
        ]
    }


def from_fields(**fields: object) -> Reading:
    """A `Reading` from Python values, by the rules of the HTTP body.

    Raises msgspec.ValidationError.
    """
    return msgspec.convert(fields, Reading, strict=False, dec_hook=decode_custom)
