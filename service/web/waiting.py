"""Waits for jobs: bounded in number, so that threads are left for other requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Final

from service.jobs.job import Job

# The longest wait for one reply, in seconds.
LONGEST: Final = 30.0
# Pauses between looks at a record, in seconds.
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25
_GROWTH: Final = 1.5


class Waiting:
    """Lets requests wait for a change of a job."""

    def __init__(self, places: int, stopping: Callable[[], bool]) -> None:
        """At most `places` requests wait; none does once the server is `stopping`."""
        self._places = BoundedSemaphore(places)
        self._stopping = stopping

    def until(
        self, met: Callable[[Job], bool], look: Callable[[], Job | None], seconds: float
    ) -> Job | None:
        """The job as soon as it meets a condition, or as it is after so many seconds.

        `look` reads the record, None if there is none. Returns at once where no place is free.
        """
        job = look()
        if job is None or met(job) or seconds <= 0:
            return job
        with self._place() as granted:
            end, pause = monotonic() + seconds, _FIRST_PAUSE
            while granted and (left := end - monotonic()) > 0 and not self._stopping():
                sleep(min(pause, left))
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
                job = look()
                if job is None or met(job):
                    break
        return job

    @contextmanager
    def _place(self) -> Iterator[bool]:
        granted = self._places.acquire(blocking=False)
        try:
            yield granted
        finally:
            if granted:
                self._places.release()
