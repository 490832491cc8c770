"""What a scorer makes of a block."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

_SHOWN_REASONS: Final = 10


class Outcome(NamedTuple):
    """The output's bytes for a block, and the output's first line as `header`.

    To be counted: the rows, the bad ones among them by what is wrong with them, and by warning the
    rows that have it, such as `unseen-category:camera_class`.
    """

    header: bytes
    text: bytes
    rows: int
    faults: Mapping[str, int]
    warnings: Mapping[str, int]


def by_reason(faults: Counter[str]) -> str:
    """Lines that count bad rows by what is wrong with them, the most frequent first."""
    lines = [f"  {count} × {reason}\n" for reason, count in faults.most_common(_SHOWN_REASONS)]
    if rest := faults.total() - sum(count for _, count in faults.most_common(_SHOWN_REASONS)):
        lines.append(f"  {rest} × other reasons\n")
    return "".join(lines)
