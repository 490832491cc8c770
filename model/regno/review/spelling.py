"""Category names that a person reads as the same, or takes for one another."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from model.regno.plates import TWINS

_TWINS: Final = str.maketrans({latin.lower(): twin.lower() for latin, twin in TWINS.items()})
# No name comes near it, and comparing takes as long as the text is.
_LONGEST: Final = 100
# Shares of letters in common, from nothing to all: below it two names are just two names.
_ALIKE: Final = 0.6


def respelt(value: str, known: Sequence[str]) -> str | None:
    """The known name that differs by case, spaces and look-alike letters only, if just one does."""
    if len(value) > _LONGEST:
        return None
    plain = _plain(value)
    same = [name for name in known if _plain(name) == plain]
    return same[0] if len(same) == 1 else None


@lru_cache(1024)
def nearest(value: str, known: tuple[str, ...]) -> str | None:
    """The known name that is most like a value, None if none is much like it."""
    if len(value) > _LONGEST:
        return None
    names = {_plain(name): name for name in known}
    close = get_close_matches(_plain(value), names, 1, _ALIKE)
    return names[close[0]] if close else None


def _plain(name: str) -> str:
    return "".join(name.split()).casefold().translate(_TWINS)
