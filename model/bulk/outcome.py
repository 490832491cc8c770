"""What a scorer makes of a block."""

from collections.abc import Mapping
from typing import NamedTuple


class Outcome(NamedTuple):
    """The output's bytes for a block, and the output's first line as `header`.

    To be counted: the rows, the bad ones among them, and for each feature the rows whose
    category the model never saw.
    """

    header: bytes
    text: bytes
    rows: int
    bad: int
    unseen: Mapping[str, int]
