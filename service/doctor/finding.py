"""What a check found."""

from typing import Final, Literal

from msgspec import Struct

Level = Literal["ok", "warn", "fail", "unknown"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warn", "fail", "unknown")


class Finding(Struct, frozen=True):
    """One line of the report: what was looked at, what was found, how to mend it."""

    level: Level
    name: str
    found: str
    mend: str = ""


def ok(name: str, found: str) -> Finding:
    """Nothing is wrong."""
    return Finding("ok", name, found)


def warn(name: str, found: str, mend: str) -> Finding:
    """It serves, but something will be slower, blinder or less safe than it need be."""
    return Finding("warn", name, found, mend)


def fail(name: str, found: str, mend: str) -> Finding:
    """It does not start, soon breaks, or is open to somebody who should stay out."""
    return Finding("fail", name, found, mend)


def unknown(name: str, found: str, mend: str = "") -> Finding:
    """It can't be told here."""
    return Finding("unknown", name, found, mend)
