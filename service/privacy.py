"""What looks like a number plate, and its removal from what leaves the process.

Nothing that holds a plate is meant to reach a log, a report or a trace in the first place.
This is the second fence, for words that come from elsewhere: ids that clients choose, messages
of libraries, names in a traceback.
"""

import re
from typing import Final

_WITHHELD: Final = "[plate]"

# The letters of Russian plates, in Cyrillic and as their Latin look-alikes; diplomats have a D.
_L: Final = "[АВЕКМНОРСТУХABEKMHOPCTYXD]"
_GAP: Final = "[ ._:-]?"
_LAYOUTS: Final = (
    # Cars, in any case and with gaps, whole or without the region.
    rf"(?i:{_L}{_GAP}\d{{3}}{_GAP}{_L}{{2}}(?:{_GAP}\d{{2,3}})?)",
    # Taxis, trailers, exports, police.
    rf"{_L}{{1,3}}\d{{5,7}}",
    # Motorcycles, tractors, diplomats.
    rf"\d{{3,4}}{_L}{{1,2}}\d{{2,6}}",
    # Transit, and old plates without a region.
    rf"{_L}{{2}}\d{{3}}{_L}\d{{2,3}}",
    rf"{_L}\d{{4}}{_L}{{2}}",
    # Any other mixture of Cyrillic letters and digits, whole or misread.
    r"(?=[^\W_]*[А-Яа-яЁё])(?=[^\W_]*\d)[^\W_]{4,}",
)
# As a word: what is part of a longer number or of a hash is no plate.
_PLATE: Final = re.compile(rf"(?<![^\W_])(?:{'|'.join(_LAYOUTS)})(?![^\W_])")
# Single characters with a blank between each, as a model's text features have plates.
_SPACED: Final = re.compile(r"(?<![^\W_])[^\W_](?: [^\W_]){3,}(?![^\W_])")
_CAR: Final = re.compile(rf"(?i:{_L}\d{{3}}{_L}{{2}}\d{{2,3}})")
_SEPARATORS: Final = re.compile(r"[ ._:-]+")
# UUIDs, with dashes or without: they hold no plate, whatever they spell.
_UUID: Final = re.compile(r"(?i:[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})")


def scrub(text: str) -> str:
    """The text with everything that looks like a plate replaced."""
    return _PLATE.sub(_WITHHELD, _SPACED.sub(_closed, text))


def _closed(spaced: re.Match[str]) -> str:
    """Characters with blanks between: without them if that makes a plate, else as they were."""
    closed = spaced[0].replace(" ", "")
    return closed if _PLATE.fullmatch(closed) else spaced[0]


def may_be_plate(identifier: str) -> bool:
    """Whether an id that a client chose may hold a plate."""
    if _UUID.fullmatch(identifier):
        return False
    # Also within longer words, and with any separators: an id may be made of a plate and a time.
    return bool(_PLATE.search(identifier) or _CAR.search(_SEPARATORS.sub("", identifier)))
