"""The state of jobs as metrics, read from their records now and then."""

from collections.abc import Callable
from time import monotonic, time
from typing import Final

from service.jobs.queues import QueueUnavailable
from service.jobs.records import RecordsUnavailable
from service.jobs.stores import Stores
from service.telemetry.metrics.jobs import JobMetrics

# A look costs the store little, but each web process takes it.
_LOOK_SECONDS: Final = 5.0


class JobCounts:
    """Publishes how many jobs there are, how long they wait, and what can't be reached."""

    def __init__(self, stores: Stores, metrics: JobMetrics) -> None:
        self._records, _, self._queue = stores
        self._metrics = metrics
        self._next_look = 0.0

    def publish(self) -> None:
        """Look again if it is time."""
        if monotonic() < self._next_look:
            return
        self._next_look = monotonic() + _LOOK_SECONDS
        self._metrics.reachable("queue", yes=_answers(self._queue.ping, QueueUnavailable))
        self._metrics.reachable("records", yes=_answers(self._look, RecordsUnavailable))

    def _look(self) -> None:
        counts = {
            (kind, str(state)): number
            for kind, states in self._records.counts().items()
            for state, number in states.items()
        }
        now = time()
        self._metrics.publish(counts, self._records.oldest_waiting(now))
        self._metrics.oldest_webhook(now - min(self._records.owed().values(), default=now))


def _answers(ask: Callable[[], None], away: type[Exception]) -> bool:
    try:
        ask()
    except away:
        return False
    return True
