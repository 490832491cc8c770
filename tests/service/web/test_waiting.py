"""Waits for jobs are bounded in number, and end with the condition, the time or the server."""

from itertools import count
from threading import Event, Thread

from service.jobs.job import Job, new_id
from service.web.waiting import Waiting


def _job(done: int) -> Job:
    return Job(
        id=new_id(0.0),
        owner="example",
        kind="score",
        model="regno",
        fingerprint="",
        input="",
        media_type="",
        created=1.0,
        keep=1.0,
        done=done,
    )


def test_a_wait_ends_with_the_condition() -> None:
    numbers = count()
    found = Waiting(1, lambda: False).until(
        lambda job: job.done == 3, lambda: _job(next(numbers)), 30.0
    )
    assert found is not None
    assert found.done == 3


def test_a_wait_ends_with_its_time_and_gives_the_job_as_it_is() -> None:
    found = Waiting(1, lambda: False).until(lambda _: False, lambda: _job(1), 0.01)
    assert found is not None


def test_a_job_that_goes_ends_the_wait() -> None:
    looks = iter([_job(1), None])
    assert Waiting(1, lambda: False).until(lambda _: False, lambda: next(looks), 30.0) is None


def test_where_all_places_are_taken_a_caller_gets_the_job_at_once() -> None:
    waiting, waits, may_end = Waiting(1, lambda: False), Event(), Event()
    looks = count()

    def look() -> Job:
        if next(looks):  # the second look: it has its place
            waits.set()
        return _job(0)

    ends = lambda _: may_end.is_set()  # noqa: E731
    first = Thread(target=waiting.until, args=(ends, look, 30.0), daemon=True)
    first.start()
    assert waits.wait(30)
    further = count()
    waiting.until(lambda _: False, lambda: _job(next(further)), 30.0)
    assert next(further) == 1, "it looked once"
    may_end.set()
    first.join()
    found = waiting.until(lambda job: job.done == 1, lambda: _job(next(further) - 1), 30.0)
    assert found is not None, "the place is free again"
    assert found.done == 1


def test_a_stop_ends_all_waits() -> None:
    looks = count()
    Waiting(1, lambda: True).until(lambda _: False, lambda: _job(next(looks)), 30.0)
    assert next(looks) == 1
