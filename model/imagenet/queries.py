"""Queries: yes or no by the probabilities of some classes. `queries.toml` has them."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_FILE: Final = Path(__file__).with_name("queries.toml")


class Query(NamedTuple):
    """Whether a picture shows one of these classes: from `first` to `last`, both included.

    The answer is yes if their probabilities add up to `threshold` at least.
    """

    name: str
    first: int
    last: int
    threshold: float

    @property
    def classes(self) -> slice:
        """The classes, for an array of the probabilities of all."""
        return slice(self.first, self.last + 1)


@cache
def queries() -> Mapping[str, Query]:
    """All queries by name, in the order of the file."""
    table = tomllib.loads(_FILE.read_text("utf-8"))
    return {name: _query(name, **of) for name, of in table.items()}


def _query(name: str, classes: str, threshold: float) -> Query:
    first, last = map(int, classes.split("-"))
    return Query(name, first, last, threshold)
