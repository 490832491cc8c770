"""Exporter: sends a store what it does not have yet of the log, each entry once in effect.

What is to be sent is first noted in the store, then sent, then noted as done. A batch whose end is
not noted is sent again as the same piece of the log, with the same token.
"""

from time import monotonic, time
from typing import Final, NamedTuple

from service.decisions.log import DecisionLog
from service.decisions.stores.rows import read
from service.decisions.stores.store import AnalysisStore, Position, StoreRefused

_MOST_ENTRIES: Final = 10_000
_MOST_REMOVALS: Final = 10_000


class Lag(NamedTuple):
    """What a store does not have yet: how many entries and removals, and since when."""

    entries: int
    removals: int
    seconds: float


class Sent(NamedTuple):
    """What a step has sent: rows and removals; `is_all` if nothing is due now."""

    rows: int = 0
    removals: int = 0
    is_all: bool = True


class Exporter:
    """Brings one store up to the log."""

    def __init__(self, log: DecisionLog, store: AnalysisStore) -> None:
        self._log = log
        self._store = store
        self._position: Position | None = None
        self._waits_since = 0.0
        # The last that is known, also while the store is away.
        self.known = Position()

    def step(self) -> Sent:
        """Send a batch, if one is due, and removals. Raises what the store does."""
        try:
            rows, is_last = self._append()
            removals = self._remove()
        except BaseException:
            self._position = None  # read again: it may be noted or not
            raise
        return Sent(rows, removals, is_last and removals < _MOST_REMOVALS)

    def _append(self) -> tuple[int, bool]:
        """Send a batch: how many rows, and whether it is the last that is due."""
        position = self._where()
        if position.until <= position.done:
            until = self._due(position.done)
            if until == position.done:
                return 0, True
            position = self._commit(position._replace(until=until))
        batch = read(self._log, position.done, position.until)
        self._store.append(batch)
        self._commit(position._replace(done=position.until))
        return len(batch.rows), False

    def _remove(self) -> int:
        """Remove what was forgotten: how many.

        Behind the batch: what was forgotten while it was read is in it, and removed now.
        """
        position = self._where()
        removals = self._log.store.removals(position.removed, _MOST_REMOVALS)
        if removals:
            self._store.remove([entry for _, entry in removals])
            self._commit(position._replace(removed=removals[-1][0]))
        return len(removals)

    def _where(self) -> Position:
        if self._position is None:
            self._position = self._store.position()
            if self._position.done > self._log.store.size:
                raise StoreRefused("it has entries that the log has not: the log is an old copy")
            self.known = self._position
        return self._position

    def _commit(self, position: Position) -> Position:
        self._store.commit(position)
        self._position = self.known = position
        return position

    def _due(self, done: int) -> int:
        """Where a batch ends that is due; `done` if none is."""
        size = self._log.store.size
        if size == done:
            self._waits_since = 0.0
            return done
        self._waits_since = self._waits_since or monotonic()
        is_full = size - done >= self._store.batch_entries
        if not is_full and monotonic() - self._waits_since < self._store.batch_seconds:
            return done
        self._waits_since = 0.0
        return min(size, done + _MOST_ENTRIES)


def lag_behind(log: DecisionLog, position: Position) -> Lag:
    """How far a store at a position is behind the log; the store is not asked."""
    size = log.store.size
    removals, removed_at = log.store.removals_after(position.removed)
    row = log.store.row(position.done) if position.done < size else None
    since = [moment for moment in (row and row.time, removed_at) if moment]
    return Lag(size - position.done, removals, max(time() - min(since, default=time()), 0.0))
