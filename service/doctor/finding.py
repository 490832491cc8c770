"""The result of a check: a level, a description, and the remedy."""

from typing import Final, Literal

from msgspec import Struct

from model import catalog

Level = Literal["ok", "warn", "fail", "unknown"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warn", "fail", "unknown")


class Finding(Struct, frozen=True):
    """One line of the report: what was checked, what it is like, and how to fix it."""

    level: Level
    name: str
    description: str
    remedy: str = ""


def titled(name: str, model: str) -> str:
    """The name of a finding on a model of the catalog; the default one goes without saying."""
    return name if model == catalog.DEFAULT else f"{name} {model}"


def ok(name: str, description: str) -> Finding:
    """Nothing is wrong."""
    return Finding("ok", name, description)


def warn(name: str, description: str, remedy: str) -> Finding:
    """The server runs, but slower, with less to observe, or less safely than it could."""
    return Finding("warn", name, description, remedy)


def fail(name: str, description: str, remedy: str) -> Finding:
    """The server does not start, soon breaks, or is open to unauthorised users."""
    return Finding("fail", name, description, remedy)


def unknown(name: str, description: str, remedy: str = "") -> Finding:
    """The check has no result on this machine."""
    return Finding("unknown", name, description, remedy)
