"""What can go wrong with a file."""

from collections.abc import Sequence

from model.errors import ScoringError


class TableRefused(ScoringError):
    """A table that can't be read as such: its header, or its quotes. Bad rows are no such case."""

    def __init__(self, reason: str, option: str = "") -> None:
        """`option` says which option helps, of commands that have those of `tables.format`."""
        super().__init__(f"{reason}; {option}" if option else reason)
        self.reason = reason


class ColumnsMissing(TableRefused):
    """A table whose header lacks some wanted columns."""

    def __init__(self, reason: str, missing: Sequence[str]) -> None:
        """`missing` are the names of these columns."""
        super().__init__(reason)
        self.missing = missing
