"""What each event changes in the record of a job: pure functions, for every store.

A function returns the changed job; the same job if the event changes nothing. Which states allow
an event, and what state follows, stands in `service.jobs.states` alone. Times are seconds since
1970.
"""

from math import inf
from typing import Final

from msgspec import structs

from service.jobs.job import Job
from service.jobs.states import TERMINAL, TRANSITIONS, Event, State, next_state

# A job that was accepted, and not published, is published after so many seconds; one that the
# queue may have lost after so many.
ACCEPTED_SECONDS: Final = 10.0
QUEUED_SECONDS: Final = 600.0
# No pause before another attempt is longer, so what is due later was written before the clock went
# back: it is due now.
LONGEST_PAUSE: Final = 60.0
# The greatest one of the settings, for a job that does not tell its own.
LONGEST_LEASE: Final = 3600.0
# The clocks of two machines may differ by so much.
_CLOCKS_SECONDS: Final = 0.5
_ENDS: Final = {
    State.SUCCEEDED: Event.SUCCEED,
    State.FAILED: Event.FAIL,
    State.CANCELLED: Event.CANCEL,
    State.EXPIRED: Event.EXPIRE,
    State.DEAD: Event.KILL,
}


class FenceLost(Exception):
    """Another worker has claimed the job since, or it has ended: the attempt must stop."""


def queued(job: Job, now: float) -> Job:
    """Return the job as the queue has it; one that runs or waits notes that it was published."""
    if job.state in TERMINAL:
        return job
    state = TRANSITIONS.get((job.state, Event.QUEUE), job.state)
    return structs.replace(job, state=state, published=now)


def claimed(job: Job, worker: str, now: float, lease: float, *, redelivered: bool) -> Job | None:
    """Return the job with a new attempt, or ended if it may have none; None: nothing to do."""
    if job.state in TERMINAL or (holds(job, now) and not redelivered):
        return None
    if job.cancelling:
        return _ended(job, now, State.CANCELLED)
    if job.deadline and now >= job.deadline:
        return _ended(job, now, State.EXPIRED, error="deadline: is over")
    if job.attempts >= job.max_attempts:
        reason = f"attempts: none of {job.attempts} came to an end, the last one's worker died"
        return _ended(job, now, State.DEAD, error=job.error or reason)
    if not _may_begin(job, now):
        return None
    return structs.replace(
        job,
        state=next_state(job.state, Event.CLAIM),
        worker=worker,
        lease_until=now + lease,
        lease=lease,
        started=job.started or now,
        attempts=job.attempts + 1,
        fence=job.fence + 1,
        error="",
    )


def progressed(  # noqa: PLR0913 - what one change holds
    job: Job,
    fence: int,
    now: float,
    lease: float,
    *,
    done: int,
    total: int,
    checkpoint: str,
    version: str,
) -> Job:
    """Return the job with its progress and a longer lease. Raises FenceLost."""
    _check(job, fence)
    # For a new checkpoint there was room.
    without_room_since = job.without_room_since if checkpoint == job.checkpoint else 0.0
    return structs.replace(
        job,
        without_room_since=without_room_since,
        lease_until=now + lease,
        lease=lease,
        done=done,
        total=total,
        checkpoint=checkpoint,
        version=version,
    )


def finished(  # noqa: PLR0913 - what one change holds
    job: Job,
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
    """Return the ended job; CANCELLED if its caller has cancelled it before. Raises FenceLost."""
    _check(job, fence)
    if job.cancelling:
        return _ended(job, now, State.CANCELLED)
    ended = _ended(job, now, state, error=error)
    return structs.replace(
        ended,
        result=result,
        result_type=result_type,
        done=rows or job.done,
        total=rows or job.total,
        version=version or job.version,
    )


def retried(  # noqa: PLR0913 - what one change holds
    job: Job,
    fence: int,
    now: float,
    due: float,
    error: str,
    *,
    counted: bool,
    without_room_since: float = 0.0,
) -> Job:
    """Return the job as it waits for its next attempt; CANCELLED if its caller has cancelled it.

    The attempt that ends is not counted if it was its worker that had to stop. Raises FenceLost.
    """
    _check(job, fence)
    if job.cancelling:
        return _ended(job, now, State.CANCELLED)
    return structs.replace(
        job,
        state=next_state(job.state, Event.RETRY),
        worker="",
        lease_until=0.0,
        due=due,
        attempts=job.attempts - (not counted),
        error=error,
        published=0.0,
        without_room_since=without_room_since,
    )


def cancelled(job: Job, now: float) -> Job:
    """Return the cancelled job, or the wish while it runs; one that has ended stays."""
    if job.state in TERMINAL:
        return job
    if job.state is State.RUNNING:
        return structs.replace(job, cancelling=True)
    return _ended(job, now, State.CANCELLED)


def killed(job: Job, now: float, error: str) -> Job:
    """Return the dead job; one that has ended stays."""
    return job if job.state in TERMINAL else _ended(job, now, State.DEAD, error=error)


def requeued(job: Job, now: float) -> Job:
    """Return a dead job as it was accepted, with no attempt made; another one stays.

    Its deadline falls away, its checkpoint stays.
    """
    if job.state is not State.DEAD:
        return job
    return structs.replace(
        job,
        state=next_state(job.state, Event.REQUEUE),
        fence=job.fence + 1,
        attempts=0,
        without_room_since=0.0,
        cancelling=False,
        due=now,
        deadline=0.0,
        finished=0.0,
        expires=0.0,
        error="",
    )


def waits(job: Job) -> bool:
    """Whether the job counts among those that wait."""
    return job.state in {State.ACCEPTED, State.QUEUED}


def holds(job: Job, now: float) -> bool:
    """Whether the lease of a running job is not over.

    One that ends later than it can was given before the clock went back: it is over, since a worker
    that lives gives itself a new one.
    """
    left = job.lease_until - now
    longest = (job.lease or LONGEST_LEASE) + LONGEST_PAUSE
    return job.state is State.RUNNING and 0 < left <= longest


def is_stray(job: Job, now: float) -> bool:
    """Whether no worker holds a running job though its lease seems to run: the queue owes it one.

    It was not published for this reason yet.
    """
    published = 0 <= now - job.published < QUEUED_SECONDS
    return (
        job.state is State.RUNNING and now < job.lease_until and not (holds(job, now) or published)
    )


def unattended_since(job: Job) -> float:
    """Return from when on the queue owes the job a worker; infinity if it owes none.

    Such a job is published again.
    """
    match job.state:
        case State.ACCEPTED:
            return job.due + ACCEPTED_SECONDS
        case State.QUEUED if job.published < job.due:
            return job.due
        case State.QUEUED:
            return job.published + QUEUED_SECONDS
        case State.RUNNING if job.published > job.lease_until:
            return job.published + ACCEPTED_SECONDS
        case State.RUNNING:
            return job.lease_until
    return inf


def _may_begin(job: Job, now: float) -> bool:
    """Whether an attempt may begin, by the clock of a machine that may not be its publisher's.

    One that may not is published again only after minutes. A pause lies between attempts, so a job
    that was not tried yet needs none.
    """
    left = job.due - now
    return not job.attempts or left <= _CLOCKS_SECONDS or left > LONGEST_PAUSE


def _check(job: Job, fence: int) -> None:
    if job.state is not State.RUNNING or job.fence != fence:
        raise FenceLost


def _ended(job: Job, now: float, state: State, *, error: str = "") -> Job:
    return structs.replace(
        job,
        state=next_state(job.state, _ENDS[state]),
        worker="",
        lease_until=0.0,
        finished=now,
        expires=now + job.keep,
        # A dead job that is brought back goes on from there.
        checkpoint=job.checkpoint if state is State.DEAD else "",
        error=error,
    )
