"""Follows jobs from their acceptance to their end, by the service's list of jobs."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

import gevent
import msgspec
from msgspec import Struct

from loadgen.load.replies import fault_of_result, is_golden
from loadgen.load.stats import JobEnd
from loadgen.load.workload import RequestSpec

# Between two looks at the list, whose times are exact: how often it is read changes no figure.
_PAUSE_SECONDS: Final = 0.5
_PAGE: Final = 100
_SUCCEEDED: Final = "succeeded"
_ENDED: Final = frozenset({_SUCCEEDED, "failed", "cancelled", "expired", "dead"})


class Reply(NamedTuple):
    """A reply: its status, 0 without one, its body, and the model version that it names."""

    status: int
    body: bytes
    model: str | None


# Sends a GET request for a path.
Get: TypeAlias = Callable[[str], Reply]


class _Progress(Struct):
    done: int


class _Job(Struct):
    id: str
    state: str
    created: datetime
    finished: datetime | None
    progress: _Progress
    version: str = ""


class _Page(Struct):
    jobs: list[_Job]
    next: str | None


class _Listed(Struct):
    body: _Page


_LISTED: Final = msgspec.json.Decoder(_Listed)


class _Followed(NamedTuple):
    """A job that has not ended; times in seconds of the schedule."""

    due: float
    accepted: float
    spec: RequestSpec


class JobFollower:
    """Reads the list of jobs, newest first, until all that it follows have ended.

    A job ends so long after its acceptance as the service's own times say: a wait for it would
    need a thread of the service, and a look now and then would be too coarse.
    """

    def __init__(self, get: Get, note: Callable[[JobEnd], None]) -> None:
        self._get = get
        self._note = note
        self._followed: dict[str, _Followed] = {}

    def add(self, job: str, due: float, accepted: float, spec: RequestSpec) -> None:
        """Follow a job that was due and accepted at these seconds of the schedule."""
        self._followed[job] = _Followed(due, accepted, spec)

    def run(self) -> None:
        """Follow until the greenlet is killed."""
        while True:
            gevent.sleep(_PAUSE_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the list as far as it has jobs that are followed; note the ends of those."""
        unseen, after = set(self._followed), ""
        while unseen:
            page = self._page(after)
            if page is None:
                return
            for job in page.jobs:
                if job.id in unseen:
                    unseen.remove(job.id)
                    self._look_at(job)
            if page.next is None:
                # The service does not know them any more: they will have no end.
                for gone in unseen:
                    del self._followed[gone]
                return
            after = page.next

    def _page(self, after: str) -> _Page | None:
        """A page of the list; None if the service can't give it now."""
        reply = self._get(f"/jobs?limit={_PAGE}" + (f"&after={after}" if after else ""))
        if reply.status != 200:
            return None
        try:
            return _LISTED.decode(reply.body).body
        except msgspec.DecodeError:
            return None

    def _look_at(self, job: _Job) -> None:
        if job.state not in _ENDED or job.finished is None:
            return
        followed = self._followed.pop(job.id)
        taken = (job.finished - job.created).total_seconds()
        self._note(
            JobEnd(
                due=followed.due,
                # Negative only where the clocks of two machines differ.
                ended=followed.accepted + max(0.0, taken),
                fault=self._fault(job, followed.spec),
                rows=job.progress.done,
                golden=is_golden(followed.spec, job.version),
                model=job.version,
            )
        )

    def _fault(self, job: _Job, spec: RequestSpec) -> str | None:
        if job.state != _SUCCEEDED:
            return f"{spec.kind}: the job ended as {job.state}"
        if job.progress.done != spec.rows:
            return f"{spec.kind}: not all rows are scored"
        if not is_golden(spec, job.version):
            return None
        result = self._get(f"/jobs/{job.id}/result")
        return fault_of_result(spec, *result)
