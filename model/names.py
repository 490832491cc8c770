"""What models and versions may be called: a name goes into folders, headers, logs and metrics."""

import re
from typing import Final

from model.redaction import may_be_plate

# No name leaves its folder, is hidden, or is an alias.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_TAKEN: Final = frozenset(("live", "shadow", "previous", "aliases.json"))
RULE: Final = "letters, digits and . _ + - are"
# The value is not repeated: plates are personal data.
PLATE: Final = "it holds what may be a number plate"
_SHOWN: Final = 60


def is_name(name: str) -> bool:
    """Whether a model or a version may be called so."""
    return bool(_NAME.fullmatch(name)) and name not in _TAKEN


def is_taken(name: str) -> bool:
    """Whether the registry reserves a name."""
    return name in _TAKEN


def is_plate(name: str) -> bool:
    """Whether a name may be a number plate, with any signs between its characters."""
    return may_be_plate(name.replace("+", "-"))


def printable(text: str) -> str:
    """A text from a file in a form that a message can show: short, on one line, not empty."""
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return short if short and short.isprintable() else ascii(short)
