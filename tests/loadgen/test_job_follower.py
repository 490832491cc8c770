"""Jobs are followed by pages of the service's list."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from loadgen.load.job_follower import JobFollower, Reply
from loadgen.load.stats import JobEnd
from loadgen.load.workload import RequestSpec

CREATED = datetime(2026, 11, 30, 12, tzinfo=UTC)
JOB = RequestSpec("job", b"{}", {}, "/jobs", status=202)
TABLE = RequestSpec("table", b"", {}, "/jobs?model=regno", status=202, rows=3)
KNOWN = RequestSpec("job", b"{}", {}, "/jobs", status=202, positive=0.25, model="m1")
AWAY = Reply(503, b"", None)


def shown(job: str, state: str, *, took: float = 0.25, rows: int = 1) -> dict[str, Any]:
    """A job as the service shows it."""
    ended = state not in {"queued", "running"}
    return {
        "id": job,
        "state": state,
        "created": CREATED,
        "finished": CREATED + timedelta(seconds=took) if ended else None,
        "progress": {"done": rows, "total": rows},
        "version": "m1",
    }


def listed(*jobs: dict[str, Any], following: str | None = None) -> Reply:
    body = {"body": {"jobs": jobs, "next": following}, "status": "ok"}
    return Reply(200, msgspec.json.encode(body), None)


def result(positive: float) -> Reply:
    scores = {"negative": 1 - positive, "positive": positive}
    return Reply(200, msgspec.json.encode({"body": scores, "status": "ok"}), "m1")


class Following:
    """A follower with the replies that it gets, its requests, and the ends that it notes."""

    def __init__(self, *replies: Reply) -> None:
        self._replies: Iterator[Reply] = iter(replies)
        self.paths: list[str] = []
        self.ends: list[JobEnd] = []
        self.follower = JobFollower(self._get, self.ends.append)

    def add(self, spec: RequestSpec, jobs: Iterable[str] = ("a",)) -> None:
        for job in jobs:
            self.follower.add(job, due=10.0, accepted=10.5, spec=spec)

    def _get(self, path: str) -> Reply:
        self.paths.append(path)
        return next(self._replies)


def test_a_job_ends_so_long_after_its_acceptance_as_the_service_says() -> None:
    following = Following(listed(shown("a", "succeeded", took=2.25)))
    following.add(JOB)
    following.follower.look()
    assert following.ends == [JobEnd(10.0, 12.75, None, rows=1, model="m1")]
    following.follower.look()
    assert len(following.paths) == 1, "nothing is left to follow"


def test_a_clock_of_a_worker_that_is_behind_makes_no_negative_time() -> None:
    following = Following(listed(shown("a", "succeeded", took=-3)))
    following.add(JOB)
    following.follower.look()
    assert following.ends[0].ended == 10.5


def test_the_list_is_read_until_all_followed_jobs_were_seen() -> None:
    """Others of the key do not matter, and neither is what is older."""
    following = Following(
        listed(shown("other", "dead"), shown("c", "running"), following="c"),
        listed(shown("b", "succeeded"), shown("a", "queued"), following="a"),
        listed(shown("c", "succeeded"), shown("a", "succeeded"), following="a"),
    )
    following.add(JOB, ["a", "b", "c"])
    following.follower.look()
    assert following.paths == ["/jobs?limit=100", "/jobs?limit=100&after=c"]
    assert len(following.ends) == 1
    following.follower.look()
    assert len(following.ends) == 3


@pytest.mark.parametrize("reply", [AWAY, Reply(0, b"", None), Reply(200, b"<html>", None)])
def test_a_service_that_is_away_for_a_moment_ends_no_job(reply: Reply) -> None:
    following = Following(reply, listed(shown("a", "succeeded")))
    following.add(JOB)
    following.follower.look()
    assert following.ends == []
    following.follower.look()
    assert [end.fault for end in following.ends] == [None]


def test_a_job_that_the_service_does_not_know_any_more_gets_no_end() -> None:
    following = Following(listed(shown("b", "running"), following=None))
    following.add(JOB, ["a", "b"])
    following.follower.look()
    assert following.ends == []
    assert len(following.paths) == 1


@pytest.mark.parametrize("state", ["failed", "dead", "expired", "cancelled"])
def test_only_success_is_no_fault(state: str) -> None:
    following = Following(listed(shown("a", state)))
    following.add(JOB)
    following.follower.look()
    assert [end.fault for end in following.ends] == [f"job: the job ended as {state}"]


@pytest.mark.parametrize(("rows", "fault"), [(3, None), (2, "table: not all rows are scored")])
def test_all_rows_of_a_table_must_be_scored(rows: int, fault: str | None) -> None:
    following = Following(listed(shown("a", "succeeded", rows=rows)))
    following.add(TABLE)
    following.follower.look()
    assert [end.fault for end in following.ends] == [fault]


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (result(0.25), None),
        (result(0.26), "job: a golden row has another score"),
        (Reply(410, b"", None), "job: status 410, not 200"),
    ],
)
def test_the_result_of_a_golden_row_is_compared(reply: Reply, fault: str | None) -> None:
    following = Following(listed(shown("a", "succeeded")), reply)
    following.add(KNOWN)
    following.follower.look()
    assert following.paths[1:] == ["/jobs/a/result"]
    assert [(end.golden, end.fault) for end in following.ends] == [(True, fault)]
