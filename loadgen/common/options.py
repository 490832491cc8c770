"""Defaults and types of command-line options that several tools have."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# The bundled model and its rows.
MODEL: Final = ROOT / "model/regno/regno.cbm"
ROWS: Final = ROOT / "loadgen/data/rows.csv"


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
