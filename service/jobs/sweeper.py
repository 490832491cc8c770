"""Regular upkeep of jobs: publishes overdue ones again, removes expired records and lost blobs."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Final, TypeVar

from service.jobs.blobs import Blobs
from service.jobs.job import created_at
from service.jobs.queues import Queue, QueueFull, QueueUnavailable
from service.jobs.records import Records

T = TypeVar("T")

# A blob whose job is not stored yet is so young.
_ORPHAN_SECONDS: Final = 3600.0
_ORPHANS_EVERY: Final = 3600.0
_AT_ONCE: Final = 500
# A sweep takes no longer: its process has other duties, and the next one goes on.
_SWEEP_SECONDS: Final = 0.5


class Sweeper:
    """Sweeps the records. Several may run: what they do may be done twice."""

    def __init__(self, records: Records, blobs: Blobs, queue: Queue) -> None:
        self._records = records
        self._blobs = blobs
        self._queue = queue
        self._next_orphans = 0.0
        self._blobs_left: Iterator[str] = iter(())  # of jobs that are still to be looked up

    def sweep(self, now: float) -> None:
        """Publish again what the queue owes a worker, and remove what has expired.

        Now and then it looks for lost blobs, too. Raises RecordsUnavailable.
        """
        latest = monotonic() + _SWEEP_SECONDS
        with suppress(QueueUnavailable, QueueFull):  # the next sweep tries again
            owed = (*self._records.unattended(now, _AT_ONCE), *self._records.strays(now, _AT_ONCE))
            for job in _until(latest, owed):
                self._queue.publish(job)
                self._records.queued(job.id, now)
        for job in _until(latest, self._records.expired(now, _AT_ONCE)):
            self._blobs.remove(job.id)
            self._records.drop(job.id)
        if now >= self._next_orphans:
            self._next_orphans = now + _ORPHANS_EVERY
            self._blobs_left = iter(list(self._blobs.jobs()))
        for each in _until(latest, self._blobs_left):
            self._remove_orphan(each, now)

    def _remove_orphan(self, job: str, now: float) -> None:
        """Remove the blobs of a job that was never stored: their writer died before that."""
        if created_at(job) < now - _ORPHAN_SECONDS and self._records.get(job) is None:
            self._blobs.remove(job)


def _until(latest: float, items: Iterable[T]) -> Iterator[T]:
    """Give items until a time of `monotonic`, at least one."""
    for item in items:
        yield item
        if monotonic() > latest:
            return
