"""The embedded job worker as a process of its own, and a submitter's hand on its stores.

Run as a program it is the worker with a further effect: a job with the parameter `poison` ends the
process that does it.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any, Final

from loadgen.common.processes import Program
from service.config.settings import load
from service.jobs.job import Job, new_id
from service.jobs.states import TERMINAL, State
from service.jobs.stores import Stores, open_stores
from tests.support.jobs import KEEP
from tests.support.server import eventually

COMMAND: Final = (sys.executable, "-m", "service.jobs", "worker")
POISONED: Final = (sys.executable, "-m", "tests.support.job_worker", "worker")


class Submitter:
    """Submits jobs as the web processes do."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def submit(
        self,
        content: bytes,
        kind: str = "score",
        *,
        max_attempts: int = 3,
        webhook: str = "",
        **parameters: str,
    ) -> str:
        """The id of a new job."""
        now = time()
        job = Job(
            id=new_id(now),
            owner="alice",
            kind=kind,
            model="regno",
            fingerprint="",
            input="",
            media_type="application/json",
            created=now,
            keep=KEEP,
            parameters=parameters,
            max_attempts=max_attempts,
            webhook=webhook,
        )
        job = _with(job, input=self.stores.blobs.put(job.id, content))
        self.stores.records.accept(job, "", 10_000)
        self.stores.queue.publish(job)
        self.stores.records.queued(job.id, now)
        return job.id

    def job(self, job: str) -> Job:
        """The record."""
        found = self.stores.records.get(job)
        assert found is not None
        return found

    def ended(self, job: str) -> Job:
        """The record of a job once it has ended."""
        eventually(lambda: self.job(job).state in TERMINAL, f"the end of {job}")
        return self.job(job)

    def result(self, job: str) -> bytes:
        """The result of a job that succeeds."""
        ended = self.ended(job)
        assert ended.state is State.SUCCEEDED, ended
        return self.stores.blobs.read(ended.result)

    def running(self) -> Sequence[Job]:
        """The jobs that run."""
        return self.stores.records.running(100)

    def are_over(self, jobs: Sequence[str]) -> bool:
        """Whether all have ended."""
        return all(self.job(job).state in TERMINAL for job in jobs)

    def begun(self, job: str, rows: int = 1) -> Job:
        """The record once so many rows are saved, and the job is not done."""
        eventually(lambda: self.job(job).done >= rows, f"progress of {job}")
        found = self.job(job)
        assert found.state is State.RUNNING
        return found


@contextmanager
def job_worker(
    folder: Path, settings: Mapping[str, str], command: tuple[str, ...] = COMMAND
) -> Iterator[Program]:
    """A running worker of the embedded form."""
    log = folder / "worker.log"
    program = Program(command, folder, log, settings)
    try:
        program.wait_until(lambda: "Job worker (embedded)" in log.read_text())
        yield program
    finally:
        program.close()


def submitter(settings: Mapping[str, str], folder: Path) -> Submitter:
    """Of the same stores."""
    return Submitter(open_stores(load(settings, folder / "none.env")))


def _with(job: Job, **changed: Any) -> Job:
    return Job(**{**{name: getattr(job, name) for name in job.__struct_fields__}, **changed})


def _poisoned() -> int:
    """The worker, which dies of a job that is poison."""
    from service.jobs import __main__ as program
    from service.jobs.execution import Attempt, Result
    from service.jobs.score_kind import ScoreKind

    run = ScoreKind.run

    def poisoned(self: ScoreKind, attempt: Attempt) -> Result:
        if attempt.job.parameters.get("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        return run(self, attempt)

    ScoreKind.run = poisoned  # type: ignore[method-assign]
    return program.main()


if __name__ == "__main__":
    sys.exit(_poisoned())
