"""Plate formats: which kind of registration plate a reading looks like.

The category names, the leading space of ` lk_taxi_r_pricep` among them, are the
strings the models were trained on. They are part of the contract: never tidy them.
"""

import re
from typing import Final

UNKNOWN: Final = "unknown"

# `L` is one capital of А–Я as a code-point range: Ё lies outside it, and so does every
# Latin look-alike. `\d` is any Unicode decimal digit, as in the customer's own patterns.
_L = "[А-Я]"

FORMATS: Final[tuple[tuple[str, str], ...]] = (
    ("private car", rf"{_L}\d{{3}}{_L}{{2}}\d{{2,3}}"),
    (" lk_taxi_r_pricep", rf"{_L}{{2}}\d{{5,6}}"),
    ("lk_pricep_r_transit", rf"{_L}{{2}}\d{{6,7}}"),
    ("lk_moto_tract", rf"\d{{4}}{_L}{{2}}\d{{2,3}}"),
    ("some", rf"{_L}\d{{4}}{_L}{{2}}"),
    ("lk_transit", rf"{_L}{{2}}\d{{3}}{_L}\d{{2,3}}"),
    # Latin T or Cyrillic Т.
    ("lk_export", rf"[TТ]{_L}{{2}}\d{{5,6}}"),
    ("lk_mvd_avto", rf"{_L}\d{{6,7}}"),
    ("lk_mvd_moto", rf"\d{{4}}{_L}\d{{2,3}}"),
    ("lk_mvd_pricep", rf"\d{{3}}{_L}\d{{2,3}}"),
    # Latin CD, Cyrillic С with D, D alone, Latin T, Cyrillic Т.
    ("lk_diplomat", r"\d{3}(?:CD|СD|D|T|Т)\d{3,6}"),
)

# One alternation instead of eleven attempts. `fullmatch` keeps "the first format that
# matches the whole string wins": an alternative that matches only a prefix is backtracked.
_ANY = re.compile("|".join(f"({pattern})" for _, pattern in FORMATS))
_CATEGORY: Final = (UNKNOWN, *(category for category, _ in FORMATS))


def category(reading: str) -> str:
    """The plate format of a reading, `unknown` if it is none of them."""
    match = _ANY.fullmatch(reading)
    return _CATEGORY[match.lastindex or 0] if match else UNKNOWN


# The Latin letters that a person takes for Cyrillic ones of a plate, and these.
TWINS: Final = dict(zip("ABEKMHOPCTYX", "АВЕКМНОРСТУХ", strict=True))
# Small letters are taken for capitals, the only letters of a plate; b looks like none of them.
_LOOKALIKES: Final = TWINS | {latin.lower(): twin for latin, twin in TWINS.items() if latin != "B"}
_CYRILLIC: Final = str.maketrans(_LOOKALIKES)


def has_lookalikes(reading: str) -> bool:
    """Whether a reading has Latin letters where Cyrillic ones are meant.

    Some formats do have Latin letters: what is of a format is as it should be.
    """
    return not _LOOKALIKES.keys().isdisjoint(reading) and category(reading) == UNKNOWN


def in_cyrillic(reading: str) -> str:
    """A reading that `has_lookalikes`, with the Cyrillic capitals that are meant."""
    return reading.translate(_CYRILLIC)


def agree(camera: str, network: str) -> bool:
    """Whether two readings are of one plate: they differ by case, blanks and look-alikes at most.

    It makes no difference which of the two is kept.
    """
    return camera == network or plain(camera) == plain(network)


def plain(reading: str) -> str:
    """A reading without blanks, in the Cyrillic capitals that are meant."""
    return in_cyrillic("".join(reading.split()).upper())


# Whether a text holds Cyrillic capitals and digits only: nothing that could be written otherwise.
is_plain: Final = re.compile(r"[А-Я0-9]*").fullmatch
