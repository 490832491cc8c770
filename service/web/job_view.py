"""A job as a reply shows it."""

from msgspec import UNSET, Struct, UnsetType

from service.jobs.job import Job
from service.jobs.states import State
from service.telemetry.log_formats import timestamp


class Progress(Struct):
    """Rows that are done, of how many; 0 of 0 before that is known."""

    done: int
    total: int


class JobView(Struct):
    """What a caller gets of its job. Times are in UTC, null where there is none yet.

    `attempts` were begun. `cancelling` is there while a running job is to be cancelled, `deadline`
    if the job has one, `version` once a model's version scores, `result_url` when there is a
    result, `error` ("field: reason") when there will be none, `expires` once the job has ended.
    `position` is there when a single job is looked at that waits: 1 is the next of its kind.
    """

    id: str
    kind: str
    model: str
    state: State
    created: str
    started: str | None
    finished: str | None
    attempts: int
    progress: Progress
    position: int | UnsetType = UNSET
    deadline: str | UnsetType = UNSET
    cancelling: bool | UnsetType = UNSET
    version: str | UnsetType = UNSET
    result_url: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    expires: str | UnsetType = UNSET


class JobList(Struct):
    """Some jobs, newest first; `next` is the `after` of the following page, null at the end."""

    jobs: list[JobView]
    next: str | None


def path_of(job: Job) -> str:
    """The address of a job."""
    return f"/jobs/{job.id}"


def view_of(job: Job, position: int | None = None) -> JobView:
    """What the owner of a job gets, with its position among the waiting jobs if it is known."""
    return JobView(
        id=job.id,
        kind=job.kind,
        model=job.model,
        state=job.state,
        created=timestamp(job.created),
        started=_time(job.started),
        finished=_time(job.finished),
        attempts=job.attempts,
        progress=Progress(job.done, job.total),
        position=position or UNSET,
        deadline=_time(job.deadline) or UNSET,
        cancelling=True if job.cancelling and job.state is State.RUNNING else UNSET,
        version=job.version or UNSET,
        result_url=f"{path_of(job)}/result" if job.state is State.SUCCEEDED else UNSET,
        error=job.error or UNSET,
        expires=_time(job.expires) or UNSET,
    )


def _time(moment: float) -> str | None:
    return timestamp(moment) if moment else None
