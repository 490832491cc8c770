"""Does for jobs what nobody else does: publishes again, lets records expire, removes lost blobs."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Final

from service.jobs.blobs import Blobs
from service.jobs.job import Job, created_at
from service.jobs.queues import Queue, QueueAway, QueueFull
from service.jobs.records import Records

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

    def sweep(self, now: float) -> None:
        """Publish again what the queue owes a worker, and remove what has expired.

        Now and then it looks for lost blobs, too. Raises RecordsAway.
        """
        latest = monotonic() + _SWEEP_SECONDS
        with suppress(QueueAway, QueueFull):  # the next sweep tries again
            for job in _until(latest, self._records.unattended(now, _AT_ONCE)):
                self._queue.publish(job)
                self._records.queued(job.id, now)
        for job in _until(latest, self._records.expired(now, _AT_ONCE)):
            self._blobs.remove(job.id)
            self._records.drop(job.id)
        if now >= self._next_orphans:
            self._next_orphans = now + _ORPHANS_EVERY
            self.remove_orphans(now)

    def remove_orphans(self, now: float) -> int:
        """Remove blobs of jobs that were never stored, and return of how many. Raises RecordsAway.

        Whoever wrote them died before the record was stored.
        """
        removed = 0
        for job in list(self._blobs.jobs()):
            if created_at(job) < now - _ORPHAN_SECONDS and self._records.get(job) is None:
                self._blobs.remove(job)
                removed += 1
        return removed


def _until(latest: float, jobs: Iterable[Job]) -> Iterator[Job]:
    """Give jobs until a time of `monotonic`, at least one."""
    for job in jobs:
        yield job
        if monotonic() > latest:
            return
