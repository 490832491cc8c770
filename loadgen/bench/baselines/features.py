"""The features of a reading by name, written from their description.

A deliberate second implementation: it shares nothing with `model.regno`, the layouts of plates
included. Before a benchmark measures, the scores that baselines make of these features must equal
the service's to 1e-12, so a fault in either implementation is found.
"""

import json
import math
import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, Protocol, TypeAlias

Value: TypeAlias = float | int | str

SYMBOLS: Final = "0123456789DАВЕКМНОРСТУХ"
TEMPLATES: Final = [
    (name, re.compile(pattern))
    for name, pattern in (
        ("private car", r"[А-Я]\d{3}[А-Я]{2}\d{2,3}"),
        (" lk_taxi_r_pricep", r"[А-Я]{2}\d{5,6}"),
        ("lk_pricep_r_transit", r"[А-Я]{2}\d{6,7}"),
        ("lk_moto_tract", r"\d{4}[А-Я]{2}\d{2,3}"),
        ("some", r"[А-Я]\d{4}[А-Я]{2}"),
        ("lk_transit", r"[А-Я]{2}\d{3}[А-Я]\d{2,3}"),
        ("lk_export", r"[TТ][А-Я]{2}\d{5,6}"),
        ("lk_mvd_avto", r"[А-Я]\d{6,7}"),
        ("lk_mvd_moto", r"\d{4}[А-Я]\d{2,3}"),
        ("lk_mvd_pricep", r"\d{3}[А-Я]\d{2,3}"),
        ("lk_diplomat", r"\d{3}(CD|СD|D|T|Т)\d{3,6}"),
    )
]


class Reading(Protocol):
    """A decoded request: its lists are lists, its time is a time."""

    regno_recognize: str
    afts_regno_ai: str
    recognition_accuracy: float
    afts_regno_ai_score: float
    afts_regno_ai_char_scores: list[float]
    afts_regno_ai_length_scores: list[float]
    camera_type: str
    camera_class: str
    time_check: datetime
    direction: int


def reading_of(fields: dict[str, Any]) -> Reading:
    """The reading in a request's ten fields, whose lists are JSON text."""
    return SimpleNamespace(
        **{
            **fields,
            "afts_regno_ai_char_scores": json.loads(fields["afts_regno_ai_char_scores"]),
            "afts_regno_ai_length_scores": json.loads(fields["afts_regno_ai_length_scores"]),
            "time_check": datetime.fromisoformat(fields["time_check"]),
        }
    )


def features(reading: Reading) -> dict[str, Value]:
    """Every feature that a model may use."""
    scores = reading.afts_regno_ai_char_scores
    return {
        "afts_regno_ai_score": reading.afts_regno_ai_score,
        "direction": reading.direction,
        "recognition_accuracy": reading.recognition_accuracy,
        "max_sym_score": max(scores, default=0),
        "min_sym_score": min(scores, default=0),
        "max_len_score": max(reading.afts_regno_ai_length_scores, default=0),
        "ai_len": len(reading.afts_regno_ai),
        "cam_len": len(reading.regno_recognize),
        "afts_regno_ai_text": " ".join(reading.afts_regno_ai),
        "regno_recognize_text": " ".join(reading.regno_recognize),
        "camera_type": reading.camera_type,
        "camera_class": reading.camera_class,
        "weekday": reading.time_check.strftime("%A"),
        "month": reading.time_check.strftime("%B"),
        "hour": reading.time_check.hour,
        "regno_template": template(reading.regno_recognize),
        "regno_template_ai": template(reading.afts_regno_ai),
        "foreign_sym": math.nan,
        **symbol_scores(reading.afts_regno_ai, scores),
    }


def template(regno: str) -> str:
    """The plate format of a reading."""
    for name, pattern in TEMPLATES:
        if pattern.fullmatch(regno):
            return name
    return "unknown"


def symbol_scores(regno: str, scores: list[float]) -> dict[str, float]:
    """The least score of each symbol; 1 where it does not occur."""
    least: dict[str, float] = dict.fromkeys(SYMBOLS, 1)
    for symbol, score in zip(regno, scores, strict=False):
        if symbol in least:
            least[symbol] = min(least[symbol], score)
    return least
