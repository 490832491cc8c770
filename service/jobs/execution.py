"""One attempt at a job: claim it, do it step by step, record its end.

What a job does is its kind's (`service.jobs.kinds`). The record says what came of the attempt.
"""

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from time import sleep, time
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from model import InvalidRequest
from model.tables.errors import TableRefused
from service.jobs.blobs import BlobMissing, Blobs, BlobsUnavailable
from service.jobs.job import Job
from service.jobs.processes import is_dead
from service.jobs.records import Records, RecordsUnavailable
from service.jobs.states import TERMINAL, State
from service.jobs.transitions import LONGEST_PAUSE, FenceLost, holds
from service.telemetry.failures import report
from service.telemetry.record import Record

T = TypeVar("T")

# The longest pause before the second attempt; it doubles with each, up to LONGEST_PAUSE.
_FIRST_PAUSE: Final = 2.0
# The longest pause until there may be room again.
_ROOM_PAUSE: Final = 10.0
# While the records can't be reached, an attempt tries again about this often.
_ASK_SECONDS: Final = 0.5
# Work is saved at least so often: until then, no wish to cancel is read.
_SAVE_SECONDS: Final = 2.0
DIED: Final = "worker: died"
_NO_ROOM: Final = "blobs: can't be written or read now"
# A job that finds none for so long is given up: it may need more than there will ever be.
_LONGEST_WITHOUT_ROOM: Final = 3600.0
_NEVER_ROOM: Final = "blobs: could not be written or read for an hour"
_TOO_LARGE: Final = "input: needs more memory than a job may have"

log = logging.getLogger("scoring")


class Result(NamedTuple):
    """What a kind made of a job: its blob's reference and media type, the rows, the version."""

    reference: str
    media_type: str
    rows: int
    version: str


class Cancelled(Exception):
    """The attempt ends before its work is done: its caller has cancelled the job."""


class Stopped(Exception):
    """The worker has to stop; another attempt goes on from the checkpoint."""


class Kind(Protocol):
    """What is done with a job. New kinds are added to those of the worker's composition."""

    def run(self, attempt: "Attempt") -> Result:
        """Do the job, with `attempt.save` after each step, and return its result.

        Raises InvalidRequest or TableRefused for an input that no attempt can do; anything else
        that is raised is tried again.
        """


class Pace(Struct, frozen=True):
    """How often work is saved, for how long a job is held without progress (s), and the clock."""

    lease: float
    checkpoint_rows: int
    clock: Callable[[], float] = time
    sleep: Callable[[float], None] = sleep
    jitter: Callable[[float, float], float] = random.uniform


class Attempt:
    """An attempt that runs: the job as it was claimed, its blobs, and the way to save progress."""

    def __init__(
        self,
        job: Job,
        records: Records,
        blobs: Blobs,
        pace: Pace,
        stopping: Callable[[], bool],
    ) -> None:
        self.job = job
        self.blobs = blobs
        self._records = records
        self._pace = pace
        self._stopping = stopping
        self._saved = pace.clock()

    def is_to_save(self, rows: int) -> bool:
        """Whether to save now, after so many rows that are not saved."""
        is_many = rows >= self._pace.checkpoint_rows
        return is_many or self._is_long_ago or self._stopping()

    def keep(self) -> None:
        """Between steps that have nothing to save: note that the attempt goes on, now and then.

        Raises as `save`.
        """
        if self._is_long_ago or self._stopping():
            self.save(**self._progress())

    def look(self) -> None:
        """Within a step that has many small parts: the same, but for a stop by itself.

        Raises as `save`.
        """
        if self._is_long_ago:
            self.save(**self._progress())

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep the lease while a step runs that can't be interrupted, as the writing of a file."""
        is_over = Event()

        def hold() -> None:
            while not is_over.wait(self._pace.lease / 3):
                # That another worker has the job is found when this attempt records its end.
                with suppress(FenceLost, RecordsUnavailable):
                    self.job = self._note_progress(**self._progress())

        thread = Thread(target=hold, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def save(self, *, done: int, total: int, checkpoint: str, version: str) -> None:
        """Note progress, from which another attempt can go on. `done` and `total` are rows.

        Raises Cancelled, Stopped, FenceLost, or RecordsUnavailable when the lease is over.
        """
        values = {"done": done, "total": total, "checkpoint": checkpoint, "version": version}
        self.job = self._kept_trying(lambda: self._note_progress(**values))
        self._saved = self._pace.clock()
        if self.job.cancelling:
            raise Cancelled
        if self._stopping():
            raise Stopped

    def finish(self, state: State, **values: Any) -> Job:
        """End the job. Raises FenceLost, or RecordsUnavailable when the lease is over."""
        job, now = self.job, self._pace.clock
        finish = self._records.finish
        return self._kept_trying(lambda: finish(job.id, job.fence, now(), state, **values))

    def give_back(self, due: float, error: str, **how: Any) -> Job:
        """Have the job tried again; `how` as in `Records.retry`.

        Raises FenceLost, or RecordsUnavailable when the lease is over.
        """
        job, now = self.job, self._pace.clock
        retry = self._records.retry
        return self._kept_trying(lambda: retry(job.id, job.fence, now(), due, error, **how))

    @property
    def _is_long_ago(self) -> bool:
        since = self._pace.clock() - self._saved
        return since < 0 or since >= min(self._pace.lease / 3, _SAVE_SECONDS)  # a clock may go back

    def _progress(self) -> dict[str, Any]:
        """The progress that is noted, to be noted again."""
        job = self.job
        checkpoint, version = job.checkpoint, job.version
        return {"done": job.done, "total": job.total, "checkpoint": checkpoint, "version": version}

    def _note_progress(self, **values: Any) -> Job:
        job, pace = self.job, self._pace
        return self._records.progress(job.id, job.fence, pace.clock(), pace.lease, **values)

    def _kept_trying(self, change: Callable[[], T]) -> T:
        """Change the record, again and again while the records are away and the lease runs."""
        while True:
            try:
                return change()
            except RecordsUnavailable:
                if self._pace.clock() >= self.job.lease_until:
                    raise
                self._pace.sleep(self._pace.jitter(0, _ASK_SECONDS * 2))


class Execution:
    """Makes attempts, for any queue."""

    def __init__(  # noqa: PLR0913, PLR0917 - a worker's parts
        self,
        records: Records,
        blobs: Blobs,
        kinds: Mapping[str, Kind],
        pace: Pace,
        stopping: Callable[[], bool] = lambda: False,
        observe: Callable[[Job, float], None] = lambda _job, _seconds: None,
    ) -> None:
        """`stopping` says whether this worker has to give its job back.

        `observe` gets the job after each attempt, and the seconds that the attempt took.
        """
        self._records = records
        self._blobs = blobs
        self._kinds = kinds
        self._pace = pace
        self._stopping = stopping
        self._observe = observe

    def deliver(self, job: str, worker: str, *, redelivered: bool = False) -> None:
        """Make an attempt at the job of a message, unless there is nothing to do.

        The message is done with then: the record says whether and when there is another attempt.
        `redelivered`: the process that had the message before has died, or its connection was lost.
        Raises RecordsUnavailable: the message must be delivered again.
        """
        now, lease = self._pace.clock(), self._pace.lease
        if redelivered and (self._is_held(job, worker, now) or self._gave_back(job, now)):
            return
        if claimed := self._records.claim(job, worker, now, lease, redelivered=redelivered):
            self.attempt(claimed)

    def _is_held(self, job: str, worker: str, now: float) -> bool:
        """Whether another worker has a job that is not known to be dead: it may go on with it.

        If it has died, the job is published again at the end of its lease.
        """
        found = self._records.get(job)
        if not found or found.state is not State.RUNNING or found.worker == worker:
            return False
        return holds(found, now) and not is_dead(found.worker)

    def _gave_back(self, job: str, now: float) -> bool:
        """Have a job tried again later whose process died: others of its queue come first."""
        found = self._records.get(job)
        if not found or found.state is not State.RUNNING or found.attempts >= found.max_attempts:
            return False
        with suppress(FenceLost):
            due = now + longest_pause(found.attempts) / 2
            self._records.retry(job, found.fence, now, due, DIED)
        return True

    def attempt(self, claimed: Job) -> None:
        """Do a job that was claimed; one that the claim has ended needs only to be cleared.

        Raises RecordsUnavailable if what came of it could not be recorded while the lease ran.
        """
        if claimed.state in TERMINAL:
            self._clear(claimed)
            return
        attempt = Attempt(claimed, self._records, self._blobs, self._pace, self._stopping)
        began = self._pace.clock()
        with suppress(FenceLost):  # another attempt has the job now, or it has ended
            job = self._outcome(attempt)()
            if job.state in TERMINAL:
                self._clear(job)
            self._note(job, self._pace.clock() - began)

    def _outcome(self, attempt: Attempt) -> Callable[[], Job]:
        """Do the work, and return what is to be recorded."""
        try:
            result = self._kinds[attempt.job.kind].run(attempt)
        except (FenceLost, RecordsUnavailable):
            raise
        except (InvalidRequest, TableRefused, BlobMissing, MemoryError) as error:
            return partial(attempt.finish, State.FAILED, error=_reason(error))
        except Cancelled:
            return partial(attempt.finish, State.CANCELLED)
        except Stopped:
            return partial(attempt.give_back, self._pace.clock(), "", counted=False)
        except BlobsUnavailable as error:
            report(error, _record_of(attempt.job))
            return self._without_room(attempt)
        except Exception as error:  # noqa: BLE001 - what another attempt may not meet
            report(error, _record_of(attempt.job))
            return self._failure(attempt, type(error).__name__)
        return partial(
            attempt.finish,
            State.SUCCEEDED,
            result=result.reference,
            result_type=result.media_type,
            rows=result.rows,
            version=result.version,
        )

    def _without_room(self, attempt: Attempt) -> Callable[[], Job]:
        """Wait for room: no fault of the job, whose attempts would be used up within seconds."""
        job, now = attempt.job, self._pace.clock()
        since = job.without_room_since or now
        if now - since >= _LONGEST_WITHOUT_ROOM:
            return partial(attempt.finish, State.DEAD, error=_NEVER_ROOM)
        due = now + self._pace.jitter(0, _ROOM_PAUSE)
        return partial(attempt.give_back, due, _NO_ROOM, counted=False, without_room_since=since)

    def _failure(self, attempt: Attempt, name: str) -> Callable[[], Job]:
        job, error = attempt.job, f"attempt: failed with {name}"
        if job.attempts >= job.max_attempts:
            return partial(attempt.finish, State.DEAD, error=error)
        pause = self._pace.jitter(0, longest_pause(job.attempts))
        return partial(attempt.give_back, self._pace.clock() + pause, error, counted=True)

    def _note(self, job: Job, seconds: float) -> None:
        """Log and count an attempt. Its outcome is not secret; the job's id is its owner's."""
        log.info(
            "Job %s (%s): %s after %.3f s; rows: %d; attempt: %d of %d",
            job.id,
            job.kind,
            job.state,
            seconds,
            job.done,
            job.attempts,
            job.max_attempts,
        )
        self._observe(job, seconds)

    def _clear(self, job: Job) -> None:
        """Remove the blobs that nobody needs any more; a dead job can be brought back."""
        if job.state is not State.DEAD:
            with suppress(BlobMissing, RecordsUnavailable):  # else they go with the record
                self._blobs.remove(job.id, keep=[job.result] if job.result else [])


def _record_of(job: Job) -> Record:
    """Return what the log and Sentry may know of the request that submitted a job."""
    return Record(
        job.request_id,
        method="POST",
        route=f"/jobs ({job.kind})",
        key_name=job.owner,
        model_version=job.version,
    )


def _reason(error: Exception) -> str:
    """What is wrong with an input that no attempt can do, as "field: reason"."""
    if isinstance(error, BlobMissing):
        return "input: is gone"
    if isinstance(error, MemoryError):
        return _TOO_LARGE
    if isinstance(error, TableRefused):
        return f"file: {error}"
    return str(error)


def longest_pause(attempts: int) -> float:
    """Return the longest pause after so many attempts, in seconds.

    The pause itself is random from 0 on, so that jobs that failed together do not return together
    ("full jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    return min(LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempts - 1))
