"""The operator's commands for dead jobs, on the records of the embedded form."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.jobs.__main__ import main
from service.jobs.job import Job
from service.jobs.states import State
from tests.support.installation import Installation


@pytest.fixture
def jobs(tmp_path: Path) -> Installation:
    return Installation(tmp_path, {})


@pytest.fixture
def dead(jobs: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command; the exit status."""

    for name, value in jobs.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # away from any .env

    def run(*arguments: str) -> int:
        return main(["dead", *arguments])

    return run


def _died(jobs: Installation) -> Job:
    job = jobs.stores.records.kill(jobs.submit(b"{}"), 1e9, "attempts: none left")
    assert job is not None
    return job


def test_dead_jobs_are_listed_the_newest_first_and_no_others(
    jobs: Installation, dead: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    old, _, new = _died(jobs), jobs.submit(b"{}"), _died(jobs)
    assert dead("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [new.id, old.id]
    assert lines[0].endswith("attempts: none left")


def test_one_is_shown_as_json(
    jobs: Installation, dead: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    job = _died(jobs)
    assert dead("show", job.id) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["state"], shown["finished"]) == (
        job.id,
        "dead",
        "2001-09-09T01:46:40Z",
    )


@pytest.mark.parametrize("which", ["id", "--all"])
def test_requeued_jobs_can_be_done_again(
    which: str, jobs: Installation, dead: Callable[..., int]
) -> None:
    job = _died(jobs)
    assert dead("requeue", job.id if which == "id" else which) == 0
    again = jobs.job(job.id)
    assert (again.state, again.attempts) == (State.QUEUED, 0)


def test_dropped_jobs_are_gone_with_their_inputs(
    jobs: Installation, dead: Callable[..., int]
) -> None:
    job = _died(jobs)
    assert dead("drop", job.id) == 0
    assert jobs.stores.records.get(job.id) is None
    assert job.id not in jobs.stores.blobs.jobs()


@pytest.mark.parametrize("command", ["show", "requeue", "drop"])
def test_what_is_no_dead_job_is_left_alone(
    command: str, jobs: Installation, dead: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    job = jobs.submit(b"{}")
    assert dead(command, job) == os.EX_NOINPUT
    assert job in capsys.readouterr().err
    assert jobs.job(job).state is State.QUEUED
