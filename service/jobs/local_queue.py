"""The queue of the embedded form: its workers ask the records for the next job.

A byte in a named pipe wakes one that waits, so that neither has to ask often. What is lost on the
way costs a moment: a worker asks by itself, too.
"""

import os
import select
from contextlib import suppress
from pathlib import Path

from service.jobs.job import Job


class LocalQueue:
    """Notifies the workers of this machine of a new job."""

    def __init__(self, folder: Path) -> None:
        self._path = _path(folder)

    def publish(self, job: Job) -> None:
        """Wake a worker; the record is the message."""
        del job
        with suppress(OSError):  # no worker runs, or enough bytes wait
            pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(pipe, b"\0")
            finally:
                os.close(pipe)

    def ping(self) -> None:
        """Workers read the records by themselves."""


class WakeUp:
    """The end of the pipe at which a worker waits."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = _path(folder)
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # For writing, too: a pipe without writers would always be ready.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._poll = select.poll()  # which takes descriptors of any number, unlike select
        self._poll.register(self._pipe, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Wait until a job is published, for so long at most. Whether one was, for this worker."""
        if not self._poll.poll(seconds * 1000):
            return False
        with suppress(BlockingIOError):  # another worker was quicker
            os.read(self._pipe, 1)
            return True
        return False


def _path(folder: Path) -> Path:
    return folder / "wake-up"
