"""What a scorer makes of a block."""

from collections.abc import Mapping
from typing import NamedTuple


class Outcome(NamedTuple):
    """The output's bytes for a block, and the output's first line as `header`.

    To be counted: the rows, the bad ones among them, and by warning the rows that have it, such
    as `unseen-category:camera_class`.
    """

    header: bytes
    text: bytes
    rows: int
    bad: int
    warnings: Mapping[str, int]
