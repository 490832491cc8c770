"""What every interface does with jobs: submit, show, cancel. It contains no HTTP."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from time import time
from typing import Final

from msgspec import structs

from service.config.settings import Settings
from service.jobs import transitions
from service.jobs.job import Job
from service.jobs.queues import QueueFull, QueueUnavailable
from service.jobs.records import Accepted, Full, RecordsUnavailable
from service.jobs.states import State
from service.jobs.stores import Stores

# A job that was accepted so long ago is kept, whether the queue has it or not.
_ACCEPTING_SECONDS: Final = 2.0
_HOUR: Final = 3600.0


class StillAccepting(Exception):
    """The same request with the same idempotency key is being accepted at this moment."""


class JobService:
    """Jobs as shown to their owners: an owner has access to its own jobs only."""

    def __init__(self, settings: Settings, stores: Stores, now: Callable[[], float] = time) -> None:
        self._settings = settings
        self._records, self.blobs, self._queue = stores
        self._now = now

    def submit(self, job: Job, idempotency_key: str) -> Accepted:
        """Store a new job, whose input is stored already, and publish it.

        Its time and its limits are set here. The input of a job that is not stored is
        removed. A queue that can't be reached delays the job: the record keeps it until it is
        published. Raises KeyReused, StillAccepting, Full or RecordsUnavailable.
        """
        now, settings = self._now(), self._settings
        job = structs.replace(
            job,
            created=now,
            due=now,
            keep=settings.job_keep_hours * _HOUR,
            max_attempts=settings.job_attempts,
        )
        try:
            accepted = self._records.accept(
                job, _digest(idempotency_key), settings.jobs_max_waiting
            )
        except RecordsUnavailable:
            raise  # the record may be stored all the same: the input stays
        except Exception:
            self.blobs.remove(job.id)
            raise
        if accepted.replayed:
            self.blobs.remove(job.id)
            self._check_replayed(accepted.job, now)
            return accepted
        return self._published(accepted)

    @staticmethod
    def _check_replayed(job: Job, now: float) -> None:
        if job.state is State.ACCEPTED and now - job.created < _ACCEPTING_SECONDS:
            raise StillAccepting

    def _published(self, accepted: Accepted) -> Accepted:
        job = accepted.job
        try:
            self._queue.publish(job)
        except QueueFull:
            self._records.withdraw(job.id)
            self.blobs.remove(job.id)
            raise Full from None
        except QueueUnavailable:
            return accepted
        try:
            queued = self._records.queued(job.id, self._now())
        except RecordsUnavailable:  # it is published, and will be once more: claims decide
            return accepted
        return Accepted(queued or job, replayed=False)

    def get(self, job: str, owner: str) -> Job | None:
        """The job, None if it is not known or another owner's."""
        found = self._records.get(job)
        return found if found is not None and found.owner == owner else None

    def list(self, owner: str, state: State | None, after: str, limit: int) -> Sequence[Job]:
        """The owner's jobs, newest first, from behind the id `after` on."""
        return self._records.list(owner, state, after, limit)

    def cancel(self, job: str, owner: str) -> Job | None:
        """Cancel the owner's job, or note the wish while it runs. Returns it as it is then."""
        found = self._records.cancel(job, owner, self._now())
        if found is not None and found.state is State.CANCELLED:
            self.blobs.remove(job)
        return found

    def position(self, job: Job) -> int | None:
        """Which one of the waiting jobs of its kind it is, from 1; None unless it waits."""
        return self._records.position(job) if transitions.waits(job) else None

    def is_over(self, job: Job) -> bool:
        """Whether the time for which a job is kept is over."""
        return bool(job.expires) and self._now() >= job.expires

    def ping(self) -> None:
        """Raise RecordsUnavailable or QueueUnavailable unless both can be reached."""
        self._records.ping()
        self._queue.ping()


def _digest(key: str) -> str:
    """What the records keep of an idempotency key, which may hold anything, plates too."""
    return sha256(key.encode()).hexdigest() if key else ""
