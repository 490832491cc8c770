"""How workers are notified of a new job."""

from typing import Protocol

from service.jobs.job import Job


class QueueUnavailable(Exception):
    """The queue can't be reached, does not answer in time, or knows nobody to give a job to."""


class QueueFull(Exception):
    """The queue is at its greatest length."""


class Queue(Protocol):
    """Publishes jobs by their id. A job may be published twice: claims of its record decide.

    It has no delay: the sweeper publishes a job again when its next attempt is due.
    """

    def publish(self, job: Job) -> None:
        """Publish a job, confirmed, within a second. Raises QueueUnavailable or QueueFull."""

    def ping(self) -> None:
        """Raise QueueUnavailable unless the queue takes jobs."""
