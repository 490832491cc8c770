"""What the sweeper does for jobs, and how workers are woken."""

from pathlib import Path

from service.jobs.blobs import FileBlobs
from service.jobs.job import Job, new_id
from service.jobs.local_queue import LocalQueue, WakeUp
from service.jobs.queues import QueueUnavailable
from service.jobs.records import Records
from service.jobs.sweeper import Sweeper
from service.jobs.transitions import ACCEPTED_SECONDS
from tests.support.jobs import KEEP, LEASE, NOW, a_job


class _Queue:
    """Notes what is published, unless it is away."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.is_away = False

    def publish(self, job: Job) -> None:
        if self.is_away:
            raise QueueUnavailable
        self.published.append(job.id)

    def ping(self) -> None:
        pass


def test_a_job_that_nobody_published_is_published_once(records: Records, tmp_path: Path) -> None:
    queue = _Queue()
    sweeper = Sweeper(records, FileBlobs(tmp_path / "blobs"), queue)
    job = records.accept(a_job(), "", 9).job
    queue.is_away = True
    sweeper.sweep(NOW + ACCEPTED_SECONDS)
    queue.is_away = False
    sweeper.sweep(NOW + ACCEPTED_SECONDS)
    sweeper.sweep(NOW + ACCEPTED_SECONDS + 1)
    assert queue.published == [job.id]


def test_a_job_with_a_lease_from_before_the_clock_went_back_is_published_once(
    records: Records, tmp_path: Path
) -> None:
    queue = _Queue()
    sweeper = Sweeper(records, FileBlobs(tmp_path / "blobs"), queue)
    job = records.accept(a_job(), "", 9).job
    records.queued(job.id, NOW + 7200)
    records.claim(job.id, "w", NOW + 7200, LEASE)
    sweeper.sweep(NOW)
    sweeper.sweep(NOW + 1)
    assert queue.published == [job.id]
    assert records.claim(job.id, "other", NOW + 1, LEASE) is not None


def test_what_has_expired_is_removed_with_its_blobs(records: Records, tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    job = a_job()
    given = a_job(id=job.id, input=blobs.put(job.id, b"x"))
    records.accept(given, "", 9)
    records.kill(job.id, NOW, "a: b")
    sweeper = Sweeper(records, blobs, _Queue())
    sweeper.sweep(NOW + KEEP - 1)
    assert blobs.read(given.input) == b"x"
    sweeper.sweep(NOW + KEEP)
    assert records.get(job.id) is None
    assert not list(blobs.jobs())


def test_blobs_without_a_job_are_removed_once_they_are_old(
    records: Records, tmp_path: Path
) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    old, young, known = new_id(NOW), new_id(NOW + 3600), a_job()
    for job in (old, young, known.id, "stranger"):
        blobs.put(job, b"x")
    records.accept(known, "", 9)
    sweeper = Sweeper(records, blobs, _Queue())
    sweeper.sweep(NOW + 3601)
    assert set(blobs.jobs()) == {young, known.id, "stranger"}


def test_a_published_job_wakes_one_worker(tmp_path: Path) -> None:
    queue, job = LocalQueue(tmp_path), a_job()
    queue.publish(job)  # nobody waits yet
    first, second = WakeUp(tmp_path), WakeUp(tmp_path)
    assert not first.wait(0)
    queue.publish(job)
    assert [first.wait(0), second.wait(0)] == [True, False]
    for _ in range(70_000):  # more than the pipe holds
        queue.publish(job)
    assert second.wait(0)
