"""What a scorer makes of some rows, and what a worker makes of that."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_SHOWN_REASONS: Final = 10


class Scored(NamedTuple):
    """The new cells of `n` rows, column by column: those of rows with a fault have no meaning.

    `columns` are numpy arrays of numbers or sequences of texts, `faults` the reasons by row, as
    "field: reason"; `warnings` are the numbers of rows by warning, such as
    `unseen-category:camera_class`.
    """

    columns: Mapping[str, Any]
    faults: Mapping[int, str]
    warnings: Mapping[str, int]


class Outcome(NamedTuple):
    """The output of a parcel: bytes of text, an Arrow batch or rows of values, as `output` writes.

    To be counted: the rows, the bad ones among them by what is wrong with them, the line of the
    first one of each, the rows by warning, and the empty rows that were left out.
    """

    content: Any
    rows: int
    faults: Mapping[str, int]
    first: Mapping[str, int]
    warnings: Mapping[str, int]
    empty: int = 0


def by_reason(faults: Counter[str], first: Mapping[str, str] | None = None) -> str:
    """Lines that count bad rows by what is wrong with them, the most frequent first.

    `first` names the place of the first one of each, such as "line 3".
    """
    lines = []
    for reason, count in faults.most_common(_SHOWN_REASONS):
        where = f" (first: {first[reason]})" if first else ""
        lines.append(f"  {count} × {reason}{where}\n")
    if rest := faults.total() - sum(count for _, count in faults.most_common(_SHOWN_REASONS)):
        lines.append(f"  {rest} × other reasons\n")
    return "".join(lines)
