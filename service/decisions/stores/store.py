"""What a store for analysis can do, whichever it is."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from service.decisions.stores.rows import Batch


class Position(NamedTuple):
    """How far a store is in a log.

    It has the entries before `done`. Those from there to before `until` were being sent: the same
    piece is sent again, since some of it may be there. `removed` counts removals.
    """

    done: int = 0
    until: int = 0
    removed: int = 0


class StoreRefused(Exception):
    """The store can't be used as it is, for this reason."""


class AnalysisStore(Protocol):
    """A store for the rows of one log.

    A call raises whatever its library does when the store is away. Each may be made again: a batch
    with a token that the store has taken changes nothing.
    """

    name: str
    # A batch is sent once it has so many entries, or the first of them has waited so long.
    batch_entries: int
    batch_seconds: float

    def position(self) -> Position:
        """How far it is."""

    def commit(self, position: Position) -> None:
        """Keep how far it is."""

    def append(self, batch: Batch) -> None:
        """Add rows, vectors and labels, as far as this store has them."""

    def remove(self, entries: Sequence[int]) -> None:
        """Remove all that it has of decisions."""

    def retain(self, days: int) -> None:
        """Keep what is so old at most."""

    def close(self) -> None:
        """Let go of files and connections."""
