"""Where the records of jobs are kept: what all stores do, in the same way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import NamedTuple

from msgspec import Struct

from service.jobs import transitions
from service.jobs.job import Job
from service.jobs.states import TERMINAL, State


class RecordsUnavailable(Exception):
    """The store can't be reached, or does not answer in time."""


class KeyReused(Exception):
    """An idempotency key came again with another request."""


class Full(Exception):
    """As many jobs wait as may wait."""


class Accepted(NamedTuple):
    """A stored job; `replayed` if the idempotency key was known and this is its job."""

    job: Job
    replayed: bool


class Event(Struct, frozen=True):
    """A row of the outbox: the end of a job that names a webhook. `attempts` were made so far."""

    id: str
    job: str
    owner: str
    webhook: str
    model: str
    type: str
    created: float
    attempts: int = 0
    due: float = 0.0
    dead: bool = False
    error: str = ""

    @property
    def endpoint(self) -> str:
        """Where it is to go: the names of the key and of its endpoint."""
        return f"{self.owner}:{self.webhook}"


class Records(ABC):
    """A store of jobs.

    Each method is one atomic change, and raises RecordsUnavailable within a second. A method that
    changes a job returns it as it is then. `now` is passed in, in seconds since 1970; the stores
    read no clock. An unknown id is None. Threads and forked processes share one.
    """

    @abstractmethod
    def accept(self, job: Job, idempotency_key: str, limit: int) -> Accepted:
        """Store a new job, unless its owner used the key (may be empty) for the same request.

        The key is known as long as its job is kept. Raises KeyReused for another fingerprint, and
        Full if `limit` jobs of its kind wait.
        """

    @abstractmethod
    def get(self, job: str) -> Job | None:
        """Return the job."""

    @abstractmethod
    def change(self, job: str, event: Callable[[Job], Job | None]) -> Job | None:
        """Replace a job by what `event` makes of it, with the notice of its end, in one change.

        Returns it; None for an unknown id, or if `event` returned None, which changes nothing.
        `event` is pure: it may be called more than once, and what it raises changes nothing.
        """

    @abstractmethod
    def list(self, owner: str, state: State | None, after: str, limit: int) -> Sequence[Job]:
        """Return the owner's jobs, newest first, from behind the id `after` (may be empty)."""

    def queued(self, job: str, now: float) -> Job | None:
        """Note that the queue has the job; its state changes if it is ACCEPTED."""
        return self.change(job, lambda found: transitions.queued(found, now))

    def claim(
        self, job: str, worker: str, now: float, lease: float, *, redelivered: bool = False
    ) -> Job | None:
        """Begin an attempt, with a new fence; None if there is nothing to do for this worker.

        Nothing to do: the job has ended, is not due yet, or another's lease runs and the queue did
        not deliver the message again. A job that is past its deadline becomes EXPIRED, one whose
        caller cancelled CANCELLED, one without attempts left DEAD; these are returned as they are.
        """
        return self.change(
            job,
            lambda found: transitions.claimed(found, worker, now, lease, redelivered=redelivered),
        )

    def next(self, kinds: Sequence[str], worker: str, now: float, lease: float) -> Job | None:
        """Claim the job that is due for the longest time: the queue of the embedded form.

        It may be returned ended, as `claim` does.
        """
        strays = (job.id for job in self.strays(now, limit=10) if job.kind in kinds)
        for job in (*self.due(kinds, now, limit=10), *strays):
            if claimed := self.claim(job, worker, now, lease):
                return claimed
        return None

    @abstractmethod
    def due(self, kinds: Sequence[str], now: float, limit: int) -> Sequence[str]:
        """Return the ids of jobs that wait and are due, or run without a lease; oldest first.

        Those that are due later than any pause lasts were written before the clock went back, and
        are due, too.
        """

    def progress(  # noqa: PLR0913 - what one change holds
        self,
        job: str,
        fence: int,
        now: float,
        lease: float,
        *,
        done: int,
        total: int,
        checkpoint: str,
        version: str,
    ) -> Job:
        """Note progress and extend the lease. `cancelling` of the result says whether to stop.

        Raises FenceLost.
        """
        event = partial(
            transitions.progressed,
            fence=fence,
            now=now,
            lease=lease,
            done=done,
            total=total,
            checkpoint=checkpoint,
            version=version,
        )
        return self._of_attempt(job, event)

    def finish(  # noqa: PLR0913 - what one change holds
        self,
        job: str,
        fence: int,
        now: float,
        state: State,
        *,
        result: str = "",
        result_type: str = "",
        rows: int = 0,
        version: str = "",
        error: str = "",
    ) -> Job:
        """End the job; it is CANCELLED if its caller has cancelled it before. Raises FenceLost.

        `rows` are all that were done, 0 if that is to stay as it is.
        """
        event = partial(
            transitions.finished,
            fence=fence,
            now=now,
            state=state,
            result=result,
            result_type=result_type,
            rows=rows,
            version=version,
            error=error,
        )
        return self._of_attempt(job, event)

    def retry(  # noqa: PLR0913 - what one change holds
        self,
        job: str,
        fence: int,
        now: float,
        due: float,
        error: str,
        *,
        counted: bool = True,
        without_room_since: float = 0.0,
    ) -> Job:
        """Give the job back, to be claimed again from `due` on. Raises FenceLost.

        Not `counted`, the attempt is as if it had not been made: its worker had to stop. The job is
        CANCELLED if its caller has cancelled it before.
        """
        event = partial(
            transitions.retried,
            fence=fence,
            now=now,
            due=due,
            error=error,
            counted=counted,
            without_room_since=without_room_since,
        )
        return self._of_attempt(job, event)

    def cancel(self, job: str, owner: str, now: float) -> Job | None:
        """Cancel a job that waits, or note the wish while it runs; one that has ended stays.

        None for another owner's job, too.
        """
        return self.change(
            job, lambda found: transitions.cancelled(found, now) if found.owner == owner else None
        )

    def kill(self, job: str, now: float, error: str) -> Job | None:
        """End a job as DEAD that has not ended: the queue gave it up."""
        return self.change(job, lambda found: transitions.killed(found, now, error))

    def requeue(self, job: str, now: float) -> Job | None:
        """Bring a dead job back to ACCEPTED, with no attempt made; another one stays."""
        return self.change(job, lambda found: transitions.requeued(found, now))

    def drop(self, job: str) -> bool:
        """Remove a job that has ended. Whether there was one."""
        return self._remove(job, lambda found: found.state in TERMINAL)

    def withdraw(self, job: str) -> bool:
        """Remove a job that is ACCEPTED: the queue refused it. Whether there was one."""
        return self._remove(job, lambda found: found.state is State.ACCEPTED)

    @abstractmethod
    def dead(self, after: str, limit: int) -> Sequence[Job]:
        """Return dead jobs of all owners, newest first, from behind the id `after`."""

    @abstractmethod
    def running(self, limit: int) -> Sequence[Job]:
        """Return jobs that run."""

    @abstractmethod
    def longest_leased(self, limit: int) -> Sequence[Job]:
        """Return running jobs, those first whose leases end last."""

    def strays(self, now: float, limit: int) -> Sequence[Job]:
        """Return running jobs whose leases end later than they can: the clock went back.

        They are to be published again.
        """
        return [job for job in self.longest_leased(limit) if transitions.is_stray(job, now)]

    @abstractmethod
    def unattended(self, now: float, limit: int) -> Sequence[Job]:
        """Return jobs to be published again, since the queue owes them a worker by now.

        They are ACCEPTED and not published for ten seconds; QUEUED to be tried again, and due;
        QUEUED for ten minutes, for the case that the queue lost them; or RUNNING without a lease.
        """

    @abstractmethod
    def expired(self, now: float, limit: int) -> Sequence[Job]:
        """Return jobs whose time of being kept is over: remove their blobs, then drop them."""

    @abstractmethod
    def counts(self) -> dict[str, dict[State, int]]:
        """Return the number of jobs by kind and state."""

    @abstractmethod
    def oldest_waiting(self, now: float) -> dict[str, float]:
        """Return for each kind the seconds since when its oldest job waits that is due."""

    @abstractmethod
    def position(self, job: Job) -> int:
        """Return which one of the waiting jobs of its kind a job is, 1 the one that is due first.

        If it has begun meanwhile, the number means nothing.
        """

    @abstractmethod
    def owed(self) -> Mapping[str, float]:
        """Return for each endpoint with events in the outbox when its first one is due."""

    @abstractmethod
    def take_event(
        self, endpoint: str, latest: float, until: float, later: float = inf
    ) -> Event | None:
        """Return the event of an endpoint that is due first, and by `latest`; None without one.

        What is due after `later` was written before the clock went back, and is due, too. No other
        sender gets it before `until`.
        """

    @abstractmethod
    def sent(self, event: Event) -> None:
        """Remove an event that was delivered."""

    @abstractmethod
    def unsent(self, event: Event, due: float, error: str, *, dead: bool) -> None:
        """Note a failed delivery: next try at `due`, or none."""

    @abstractmethod
    def dead_events(self, limit: int) -> Sequence[Event]:
        """Return events that are not tried any more, newest first; the newest thousand are kept."""

    @abstractmethod
    def ping(self) -> None:
        """Raise RecordsUnavailable unless the store answers."""

    @abstractmethod
    def durability(self) -> str:
        """Say what a loss of power may take, for the log. Raises RecordsUnavailable."""

    @abstractmethod
    def _remove(self, job: str, allowed: Callable[[Job], bool]) -> bool:
        """Remove a job, with its key, if it is allowed. Whether it was removed."""

    def _of_attempt(self, job: str, event: Callable[[Job], Job]) -> Job:
        changed = self.change(job, event)
        if changed is None:
            raise transitions.FenceLost
        return changed


def end_of(before: Job, after: Job) -> Event | None:
    """Return the event for the webhook of a job that has just ended, None without one.

    A job ends once for each fence: a dead one that is brought back gets another.
    """
    if not after.webhook or before.state in TERMINAL or after.state not in TERMINAL:
        return None
    return Event(
        id=f"{after.id}-{after.fence}",
        job=after.id,
        owner=after.owner,
        webhook=after.webhook,
        model=after.model,
        type=f"job.{after.state}",
        created=after.finished,
        due=after.finished,
    )
