"""What of a reading may be kept for analysis: nothing that is a plate or tells one.

No character of a reading is here, nor a feature that names one: not the symbols' scores, the tails
or the pairs that differ, of which a plate could be put together.
"""

from functools import lru_cache

from model.redaction import is_whole_plate
from model.regno.differences import differing
from model.regno.plates import category
from model.regno.request import Reading


def facts(reading: Reading) -> dict[str, str | int | float]:
    """Figures and categories of a reading, by column."""
    camera, network = reading.regno_recognize, reading.afts_regno_ai
    return {
        "camera_type": _name(reading.camera_type),
        "camera_class": _name(reading.camera_class),
        "direction": reading.direction,
        "hour": reading.time_check.hour,
        "weekday": reading.time_check.weekday,
        "camera_template": category(camera).strip(),
        "network_template": category(network).strip(),
        "camera_length": len(camera),
        "network_length": len(network),
        "differing": len(differing(camera, network)),
        "camera_accuracy": reading.recognition_accuracy,
        "network_score": reading.afts_regno_ai_score,
    }


def vectors(reading: Reading) -> dict[str, list[float]]:
    """The network's confidences, by character and by length; a camera has one figure only."""
    return {
        "char_scores": list(reading.afts_regno_ai_char_scores),
        "length_scores": list(reading.afts_regno_ai_length_scores),
    }


@lru_cache(maxsize=256)  # cameras are few
def _name(text: str) -> str:
    """A name that callers send, unless they sent a plate in its place."""
    return "" if is_whole_plate(text) else text
