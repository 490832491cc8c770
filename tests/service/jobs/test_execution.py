"""Attempts at jobs: what is recorded, what the queue has to do, what is left behind."""

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from model import InvalidRequest
from model.tables.errors import TableRefused
from service.jobs.blobs import BlobMissing, BlobsUnavailable, FileBlobs
from service.jobs.checkpoint import Checkpoint
from service.jobs.execution import Attempt, Execution, Pace, Result, longest_pause
from service.jobs.job import Job
from service.jobs.processes import worker_name
from service.jobs.records import Records, RecordsUnavailable
from service.jobs.sqlite_records import SqliteRecords
from service.jobs.states import State
from tests.support.clock import SteppedClock
from tests.support.jobs import LEASE, NOW, a_job
from tests.support.server import eventually

Work = Callable[[Attempt], Result]


class Desk:
    """Records, blobs, and an execution whose only kind is what a test says."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock()
        self.clock.now = NOW
        self.records: Records = SqliteRecords(folder / "records.sqlite")
        self.blobs = FileBlobs(folder / "blobs")
        self.is_stopping = False
        self.lease = LEASE
        self.slept: list[float] = []
        self.work: Work = self.succeed

    def run(self, attempt: Attempt) -> Result:
        return self.work(attempt)

    def succeed(self, attempt: Attempt) -> Result:
        return Result(self.blobs.put(attempt.job.id, b"result"), "text/plain", 3, "v1")

    def submit(self, **changed: object) -> Job:
        job = a_job(**changed)
        given = a_job(**{**changed, "id": job.id, "input": self.blobs.put(job.id, b"input")})
        return self.records.accept(given, "", 99).job

    def deliver(self, job: Job, *, redelivered: bool = False) -> None:
        pace = Pace(self.lease, 100, self.clock, self._sleep, lambda _, greatest: greatest)
        Execution(
            self.records, self.blobs, {"score": self}, pace, lambda: self.is_stopping
        ).deliver(job.id, "w", redelivered=redelivered)

    def job(self, job: Job) -> Job:
        found = self.records.get(job.id)
        assert found is not None
        return found

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with empty records."""
    return Desk(tmp_path)


def test_a_job_that_is_done_has_its_result_and_no_input(desk: Desk) -> None:
    job = desk.submit()
    desk.deliver(job)
    ended = desk.job(job)
    assert (ended.state, ended.done, ended.version) == (State.SUCCEEDED, 3, "v1")
    assert desk.blobs.read(ended.result) == b"result"
    with pytest.raises(BlobMissing):
        desk.blobs.read(job.input)
    desk.deliver(job)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (InvalidRequest("direction", "is missing"), "direction: is missing"),
        (TableRefused("it is empty"), "file: it is empty"),
        (BlobMissing(), "input: is gone"),
    ],
)
def test_an_input_that_nobody_can_do_fails_at_once(
    desk: Desk, fault: Exception, error: str
) -> None:
    def work(_: Attempt) -> Result:
        raise fault

    desk.work = work
    job = desk.submit()
    desk.deliver(job)
    assert (desk.job(job).state, desk.job(job).error) == (State.FAILED, error)
    assert not list(desk.blobs.jobs())


def test_what_may_pass_is_tried_again_later_and_later_until_the_job_is_dead(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def work(_: Attempt) -> Result:
        raise OSError("the plate А123ВС77")

    desk.work = work
    job = desk.submit()
    pauses = []
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            desk.deliver(job)
            pauses.append(desk.job(job).due - desk.clock.now)
            desk.deliver(job)  # not yet
            desk.clock.now += pauses[-1]
        desk.deliver(job)
    assert pauses == [2.0, 4.0]
    dead = desk.job(job)
    assert (dead.state, dead.attempts) == (State.DEAD, 3)
    assert dead.error == "attempt: failed with OSError"
    assert "А123ВС77" not in caplog.text
    assert desk.blobs.read(job.input) == b"input"  # it can be brought back
    desk.work = desk.succeed
    desk.records.requeue(job.id, desk.clock.now)
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED


def test_pauses_double_up_to_a_minute() -> None:
    assert [longest_pause(n) for n in (1, 2, 3, 5, 6, 20)] == [2, 4, 8, 32, 60, 60]


def _saving(desk: Desk, between: Callable[[], object]) -> Work:
    """Work of two steps, between which something happens."""

    def work(attempt: Attempt) -> Result:
        checkpoint = Checkpoint.of(attempt, "v1")
        if not checkpoint.done:
            checkpoint.done = 5
            checkpoint.save(attempt, b"part", 9)
            between()
            checkpoint.done = 9
            checkpoint.save(attempt, b"rest", 9)
        return desk.succeed(attempt)

    return work


def test_a_job_is_cancelled_between_its_steps(desk: Desk) -> None:
    job = desk.submit()
    desk.work = _saving(desk, lambda: desk.records.cancel(job.id, "alice", NOW))
    desk.deliver(job)
    assert desk.job(job).state is State.CANCELLED
    assert not list(desk.blobs.jobs())


def test_the_deadline_is_for_the_beginning_of_an_attempt(desk: Desk) -> None:
    def wait() -> None:
        desk.clock.now += 9

    job = desk.submit(deadline=NOW + 5)
    desk.work = _saving(desk, wait)
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED
    late = desk.submit(deadline=NOW + 5)
    desk.deliver(late)
    assert (desk.job(late).state, desk.job(late).error) == (State.EXPIRED, "deadline: is over")
    assert late.id not in set(desk.blobs.jobs())


def test_a_worker_that_has_to_stop_gives_its_job_back_with_its_progress(desk: Desk) -> None:
    def stop() -> None:
        desk.is_stopping = True

    job = desk.submit()
    desk.work = _saving(desk, stop)
    desk.deliver(job)
    given_back = desk.job(job)
    assert (given_back.state, given_back.attempts) == (State.QUEUED, 0)
    assert (given_back.done, given_back.total) == (9, 9)
    desk.is_stopping = False
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED


def test_an_attempt_that_lost_its_job_leaves_it_to_the_other(desk: Desk) -> None:
    job = desk.submit()
    taken: list[Job | None] = []

    def take() -> None:
        taken.append(desk.records.claim(job.id, "other", desk.clock.now, LEASE, redelivered=True))

    desk.work = _saving(desk, take)
    desk.deliver(job)
    assert desk.job(job) == taken[0]
    assert desk.blobs.read(job.input) == b"input"


def test_a_job_whose_wish_to_stop_came_with_its_last_step_leaves_no_result(desk: Desk) -> None:
    job = desk.submit()

    def work(attempt: Attempt) -> Result:
        result = desk.succeed(attempt)
        desk.records.cancel(job.id, "alice", NOW)
        return result

    desk.work = work
    desk.deliver(job)
    assert desk.job(job).state is State.CANCELLED
    assert not list(desk.blobs.jobs())


class _AwayAtTimes(SqliteRecords):
    """Records that are away for so many calls that end a job."""

    away = 0

    def change(self, job: str, event: Callable[[Job], Job | None]) -> Job | None:
        found = self.get(job)
        if self.away and found is not None and found.state is State.RUNNING:
            self.away -= 1
            raise RecordsUnavailable
        return super().change(job, event)


def test_an_end_is_recorded_once_the_records_are_back(desk: Desk, tmp_path: Path) -> None:
    desk.records = records = _AwayAtTimes(tmp_path / "records.sqlite")
    records.away = 5
    job = desk.submit()
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED
    assert len(desk.slept) == 5


def test_an_attempt_ends_with_its_lease_while_the_records_are_away(
    desk: Desk, tmp_path: Path
) -> None:
    desk.records = records = _AwayAtTimes(tmp_path / "records.sqlite")
    records.away = 10_000
    job = desk.submit()
    with pytest.raises(RecordsUnavailable):
        desk.deliver(job)
    assert desk.clock.now - NOW == pytest.approx(LEASE, abs=2)
    records.away = 0
    desk.deliver(job)
    assert (desk.job(job).state, desk.job(job).attempts) == (State.SUCCEEDED, 2)


def test_a_job_of_a_machine_whose_clock_is_ahead_is_done_at_once(desk: Desk) -> None:
    job = desk.submit()
    desk.clock.now = NOW - 3
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED


def test_a_full_disk_costs_no_attempt(desk: Desk) -> None:
    """A job waits for the room that its result needs, however often there is none."""
    job = desk.submit()

    def work(_: Attempt) -> Result:
        raise BlobsUnavailable

    desk.work = work
    for _ in range(5):
        desk.deliver(job)
        waiting = desk.job(job)
        assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)
        assert waiting.error.partition(":")[0] == "blobs"
        assert waiting.due == desk.clock.now + 10
        desk.clock.now = waiting.due
    desk.work = desk.succeed
    desk.deliver(job)
    assert (desk.job(job).state, desk.job(job).attempts) == (State.SUCCEEDED, 1)


def _without_room(desk: Desk, job: Job, seconds: float) -> Job:
    """A job after attempts that found no room, for so long."""

    def work(_: Attempt) -> Result:
        raise BlobsUnavailable

    desk.work = work
    end = desk.clock.now + seconds
    while desk.clock.now < end and desk.job(job).state is not State.DEAD:
        desk.deliver(job)
        desk.clock.now += 600
    return desk.job(job)


def test_a_job_that_never_finds_room_is_given_up_and_can_be_brought_back(desk: Desk) -> None:
    job = desk.submit()
    assert _without_room(desk, job, 3600).state is State.QUEUED
    given_up = _without_room(desk, job, 1200)
    assert (given_up.state, given_up.attempts) == (State.DEAD, 1)
    assert given_up.error == "blobs: could not be written or read for an hour"
    desk.records.requeue(job.id, desk.clock.now)
    assert _without_room(desk, job, 3600).state is State.QUEUED
    desk.work = desk.succeed
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED


def test_a_job_that_got_on_may_wait_for_room_anew(desk: Desk) -> None:
    job = desk.submit()
    _without_room(desk, job, 3600)

    def work(attempt: Attempt) -> Result:
        attempt.save(done=1, total=2, checkpoint="{}", version="v1")
        raise BlobsUnavailable

    desk.work = work
    desk.deliver(job)
    assert desk.job(job).without_room_since == desk.clock.now
    assert _without_room(desk, job, 3600).state is State.QUEUED


def test_a_job_that_needs_too_much_memory_fails_at_once(desk: Desk) -> None:
    job = desk.submit()

    def work(_: Attempt) -> Result:
        raise MemoryError

    desk.work = work
    desk.deliver(job)
    failed = desk.job(job)
    assert (failed.state, failed.attempts) == (State.FAILED, 1)
    assert failed.error == "input: needs more memory than a job may have"


def test_a_job_whose_process_died_is_tried_again_later(desk: Desk) -> None:
    job = desk.submit()
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    desk.records.claim(job.id, worker_name(dead.pid), NOW, LEASE)
    desk.deliver(job, redelivered=True)
    assert (desk.job(job).state, desk.job(job).error) == (State.QUEUED, "worker: died")
    desk.clock.now = desk.job(job).due
    desk.deliver(job)
    assert (desk.job(job).state, desk.job(job).attempts) == (State.SUCCEEDED, 2)


@pytest.mark.parametrize("holder", [worker_name(os.getppid()), "elsewhere:7"])
def test_a_job_whose_worker_only_lost_its_connection_is_left_to_it(desk: Desk, holder: str) -> None:
    job = desk.submit()
    claimed = desk.records.claim(job.id, holder, NOW, LEASE)
    desk.deliver(job, redelivered=True)
    assert desk.job(job) == claimed
    desk.clock.now = NOW + LEASE
    desk.deliver(job)  # by the sweeper's message
    assert (desk.job(job).state, desk.job(job).attempts) == (State.SUCCEEDED, 2)


def test_a_zombie_is_dead(desk: Desk) -> None:
    job = desk.submit()
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    desk.records.claim(job.id, worker_name(child), NOW, LEASE)
    desk.deliver(job, redelivered=True)
    assert desk.job(job).error == "worker: died"
    os.waitpid(child, 0)


def test_a_step_that_cannot_be_interrupted_keeps_its_job(desk: Desk) -> None:
    job = desk.submit()

    def work(attempt: Attempt) -> Result:
        with attempt.holding():
            desk.clock.now += 5
            eventually(lambda: desk.job(job).lease_until == NOW + 5 + 0.1, "a longer lease")
        return desk.succeed(attempt)

    desk.lease, desk.work = 0.1, work
    desk.deliver(job)
    assert desk.job(job).state is State.SUCCEEDED


def test_a_long_attempt_reads_the_wish_to_stop_between_its_steps(desk: Desk) -> None:
    job, steps = desk.submit(), []

    def work(attempt: Attempt) -> Result:
        desk.records.cancel(job.id, "alice", NOW)
        for step in range(9):
            steps.append(step)
            desk.clock.now += 0.5
            attempt.keep()
        return desk.succeed(attempt)

    desk.work = work
    desk.deliver(job)
    assert desk.job(job).state is State.CANCELLED
    assert len(steps) == 4  # two seconds


def test_a_wish_to_cancel_is_read_after_the_clock_went_back(desk: Desk) -> None:
    job = desk.submit()

    def work(attempt: Attempt) -> Result:
        desk.records.cancel(job.id, "alice", NOW)
        desk.clock.now -= 3600
        attempt.keep()
        return desk.succeed(attempt)

    desk.work = work
    desk.deliver(job)
    assert desk.job(job).state is State.CANCELLED


def test_a_checkpoint_of_another_version_is_left_behind(desk: Desk) -> None:
    job = desk.submit()
    desk.records.claim(job.id, "w", NOW, LEASE)
    checkpoint = '{"version":"v0","done":5,"parts":["file:a/b"]}'
    desk.records.progress(
        *(job.id, 1, NOW, LEASE), done=5, total=9, checkpoint=checkpoint, version="v0"
    )
    seen: list[Checkpoint] = []

    def work(attempt: Attempt) -> Result:
        seen.extend((Checkpoint.of(attempt, "v0"), Checkpoint.of(attempt, "v1")))
        return desk.succeed(attempt)

    desk.work = work
    desk.clock.now += LEASE
    desk.deliver(job)
    assert [(found.version, found.done) for found in seen] == [("v0", 5), ("v1", 0)]
