"""An installation that does jobs: its records, blobs and queue, and real workers."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any, Final

import psutil

from loadgen.common.processes import Program
from service.config.settings import load
from service.jobs.celery_queue import CeleryQueue
from service.jobs.job import SCORE, Job, new_id
from service.jobs.service import JobService
from service.jobs.states import TERMINAL, State
from service.jobs.stores import open_stores
from tests.support.server import eventually

OWNER: Final = "example"
# What a worker says when it takes jobs.
_READY: Final = "Job worker ("


class Worker(Program):
    """`python -m service.jobs worker`, as tests.support.hurting_worker runs it."""

    def __init__(self, folder: Path, settings: Mapping[str, str], arguments: Iterable[str]) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        command = (sys.executable, "-m", "tests.support.hurting_worker", "worker", *arguments)
        super().__init__(command, folder, self._out, settings, errors=self._err)

    def wait_ready(self) -> None:
        """Wait until it takes jobs."""
        self.wait_until(lambda: _READY in self._out.read_text())

    def processes(self) -> list[psutil.Process]:
        """Those that make attempts, and that of its metrics; not those that have just died."""
        try:
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        except psutil.NoSuchProcess:
            return []

    def kill_page(self, port: int) -> None:
        """Kill the process that serves its metrics at a port."""
        (page,) = [
            child
            for child in self.processes()
            if any(one.laddr.port == port for one in child.net_connections("tcp"))
        ]
        page.kill()

    def log(self) -> list[dict[str, Any]]:
        """Its log so far; a line that is not JSON fails."""
        return [json.loads(line) for line in self._out.read_text().splitlines()]

    def errors(self) -> str:
        """Its stderr so far."""
        return self._err.read_text()


class Installation:
    """Web processes and workers share these settings; submissions are made in this process."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """`settings` are variables without their prefix."""
        self._folder = folder
        self._workers = 0
        self.environment = {
            "SCORING_JOBS_DIR": str(folder / "jobs"),
            "TMPDIR": str(folder),
            **{f"SCORING_{name}": value for name, value in settings.items()},
        }
        self.settings = load(self.environment, folder / "none.env")
        self.stores = open_stores(self.settings)
        self.service = JobService(self.settings, self.stores)

    def close(self) -> None:
        """Close the connections of this process."""
        if isinstance(self.stores.queue, CeleryQueue):
            self.stores.queue.close()

    def submit(self, given: bytes, kind: str = SCORE, **values: Any) -> str:
        """Submit a job for the default model; its id."""
        job = new_id(time())
        content_type = "application/json" if kind == SCORE else "text/csv"
        accepted = self.service.submit(
            Job(
                id=job,
                owner=OWNER,
                kind=kind,
                model="regno",
                fingerprint=job,
                input=self.stores.blobs.put(job, given),
                media_type=content_type,
                created=0.0,
                keep=0.0,
                **values,
            ),
            "",
        )
        return accepted.job.id

    def job(self, job: str) -> Job:
        """A job's record."""
        found = self.stores.records.get(job)
        assert found is not None
        return found

    def result(self, job: str) -> bytes:
        """The result of a job that succeeds."""
        (ended,) = self.ended([job])
        assert ended.state is State.SUCCEEDED, ended
        return self.stores.blobs.read(ended.result)

    def ended(self, jobs: Iterable[str], seconds: float = 60.0) -> list[Job]:
        """The records of jobs, once they have all ended."""
        left = list(jobs)

        def all_ended() -> bool:
            while left and self.job(left[-1]).state in TERMINAL:
                left.pop()
            return not left

        wanted = list(left)
        eventually(all_ended, "all jobs end", seconds)
        return [self.job(job) for job in wanted]

    def begun(self, job: str, rows: int = 1) -> Job:
        """The record of a job once so many rows are saved, and it is not done."""
        self.until(job, lambda found: found.done >= rows, "progress")
        found = self.job(job)
        assert found.state is State.RUNNING
        return found

    def until_ended(self, count: int) -> None:
        """Wait until so many jobs have ended."""

        def have_ended() -> bool:
            counts = self.stores.records.counts().values()
            return (
                sum(sum(states.get(state, 0) for state in TERMINAL) for states in counts) >= count
            )

        eventually(have_ended, f"{count} jobs end")

    def start_worker(self, *arguments: str) -> Worker:
        """Start a worker; stop it."""
        self._workers += 1
        folder = self._folder / f"worker-{self._workers}"
        folder.mkdir()
        return Worker(folder, self.environment, arguments)

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[Worker]:
        """A worker that takes jobs; unless the block has ended it, it must stop cleanly."""
        worker = self.start_worker(*arguments)
        try:
            worker.wait_ready()
            yield worker
            is_running = worker.process.poll() is None
            code = worker.stop()
        finally:
            worker.close()
        assert not is_running or (code, worker.errors()) == (0, ""), worker.log()

    def until(self, job: str, holds: Callable[[Job], bool], what: str) -> None:
        """Wait until something is true of a job."""
        eventually(lambda: holds(self.job(job)), what)
