"""What can go wrong with a file."""

from model.errors import ScoringError


class TableRefused(ScoringError):
    """A table that can't be read as such: its header, or its quotes. Bad rows are no such case."""
