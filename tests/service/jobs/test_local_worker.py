"""The embedded worker as a real process: what is killed, stopped and poisoned loses nothing."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from loadgen.common.errors import CannotStart
from loadgen.common.processes import free_port, responds
from service.jobs.states import State
from tests.support.job_worker import POISONED, Submitter, job_worker, submitter
from tests.support.server import METRICS_TOKEN, eventually
from tests.support.strategies import VALID
from tests.support.swapping import FIRST, SECOND, registry_of_twins
from tests.support.tables import as_csv, samples

pytestmark = pytest.mark.slow

_LONG = 30_000


@pytest.fixture(scope="module")
def table() -> bytes:
    """A table that takes a second or two."""
    return as_csv(samples(300) * (_LONG // 300))


@pytest.fixture
def settings_of_worker(tmp_path: Path) -> dict[str, str]:
    """One process, small steps."""
    return {
        "SCORING_JOBS_DIR": str(tmp_path / "jobs"),
        "SCORING_JOB_CHECKPOINT_ROWS": "1000",
        "SCORING_JOB_LEASE_SECONDS": "600",
        "TMPDIR": str(tmp_path),
    }


@pytest.fixture
def caller(settings_of_worker: dict[str, str], tmp_path: Path) -> Submitter:
    """Submits to the worker's stores."""
    return submitter(settings_of_worker, tmp_path)


def _log(tmp_path: Path) -> str:
    return (tmp_path / "worker.log").read_text()


def test_a_job_is_done_and_the_worker_stops_in_order(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path
) -> None:
    before = caller.submit(VALID)
    with job_worker(tmp_path, settings_of_worker) as worker:
        body = json.loads(caller.result(before))
        assert body["status"] == "ok"
        assert caller.result(caller.submit(VALID)) == caller.result(before)
        assert worker.stop() == 0
    assert "Job worker stopped" in _log(tmp_path)
    assert "error" not in _log(tmp_path)


def test_a_killed_worker_goes_on_from_the_checkpoint(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path, table: bytes
) -> None:
    with job_worker(tmp_path, settings_of_worker) as worker:
        undisturbed = caller.result(caller.submit(table, "table"))
        job = caller.submit(table, "table")
        found = caller.begun(job)
        os.kill(int(found.worker.rpartition(":")[2]), signal.SIGKILL)
        assert caller.begun(job, found.done + 1).attempts == 2
        worker.kill()  # with its children
    with job_worker(tmp_path, settings_of_worker):
        assert caller.result(job) == undisturbed
    ended = caller.job(job)
    assert (ended.attempts, ended.fence, ended.done) == (3, 3, _LONG)


def test_term_gives_the_job_back_with_its_progress_and_its_attempts(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path, table: bytes
) -> None:
    with job_worker(tmp_path, settings_of_worker) as worker:
        job = caller.submit(table, "table")
        caller.begun(job)
        assert worker.stop() == 0
    found = caller.job(job)
    assert (found.state, found.attempts) == (State.QUEUED, 0)
    assert 0 < found.done < _LONG
    with job_worker(tmp_path, settings_of_worker):
        done = found.done
        assert caller.result(job).count(b"\n") == _LONG + 1
        assert caller.job(job).done > done


def test_a_cancelled_job_stays_cancelled_over_a_restart(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path, table: bytes
) -> None:
    records = caller.stores.records
    waiting = caller.submit(VALID)
    records.cancel(waiting, "alice", time())
    with job_worker(tmp_path, settings_of_worker) as worker:
        running = caller.submit(table, "table")
        caller.begun(running)
        wished = records.cancel(running, "alice", time())
        assert wished is not None
        worker.kill()
    with job_worker(tmp_path, settings_of_worker):
        assert caller.ended(running).state is State.CANCELLED
        assert caller.job(waiting).state is State.CANCELLED
        done = caller.submit(VALID)
        assert caller.ended(done).state is State.SUCCEEDED
        late = records.cancel(done, "alice", time())
    assert late is not None
    assert late.state is State.SUCCEEDED
    assert caller.job(waiting).attempts == 0


def test_a_job_that_kills_its_process_dies_and_delays_nobody(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path
) -> None:
    with job_worker(tmp_path, settings_of_worker, POISONED):
        caller.result(caller.submit(VALID))
        poison = caller.submit(VALID, poison="1")
        others = dict.fromkeys((1, 2), 0)  # by the attempts that the poison had
        while (found := caller.job(poison)).state is not State.DEAD:
            caller.result(caller.submit(VALID))
            others[found.attempts] = others.get(found.attempts, 0) + 1
    assert (found.attempts, found.error.partition(":")[0]) == (3, "attempts")
    assert others[1] > 1
    assert others[2] > 1


def test_expired_jobs_and_their_blobs_are_removed(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path
) -> None:
    records = caller.stores.records
    job = caller.submit(VALID)
    records.kill(job, 1.0, "a: b")  # in 1970
    blobs: Any = caller.stores.blobs
    with job_worker(tmp_path, settings_of_worker):
        eventually(lambda: records.get(job) is None, "the end of the record")
        assert job not in list(blobs.jobs())


def test_a_version_that_becomes_live_does_the_next_jobs(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path, table: bytes
) -> None:
    registry = registry_of_twins(tmp_path)
    settings = {
        **settings_of_worker,
        "SCORING_REGISTRY": str(tmp_path / "models"),
        "SCORING_REGISTRY_POLL_SECONDS": "0.1",
    }
    with job_worker(tmp_path, settings):
        assert caller.ended(caller.submit(VALID)).version == FIRST
        registry.promote(SECOND, who="the tests")
        eventually(lambda: caller.ended(caller.submit(VALID)).version == SECOND, "the change")
        rows = table[: len(table) // 50].rpartition(b"\n")[0]
        of_second = caller.submit(rows, "table")
        assert caller.ended(of_second).version == SECOND


def test_each_job_ends_once_however_often_its_processes_are_killed(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path
) -> None:
    settings = {**settings_of_worker, "SCORING_JOB_WORKERS": "2"}
    array = f"[{','.join([VALID.decode()] * 1500)}]".encode()
    with job_worker(tmp_path, settings):
        expected = caller.result(caller.submit(array))
        jobs = [caller.submit(array, max_attempts=20, webhook="hook") for _ in range(60)]
        for _ in range(20):
            eventually(lambda: bool(caller.running() or caller.are_over(jobs)), "a job that runs")
            for job in caller.running():
                with suppress(ProcessLookupError):
                    os.kill(int(job.worker.rpartition(":")[2]), signal.SIGKILL)
        results = {caller.result(job) for job in jobs}
    assert results == {expected}
    attempts = [caller.job(job).attempts for job in jobs]
    assert sum(attempts) > len(jobs)
    events = caller.stores.records.events(time(), 60.0, 1000)
    assert sorted(event.job for event in events) == sorted(jobs)


def test_a_worker_shows_what_its_attempts_came_to(
    caller: Submitter, settings_of_worker: dict[str, str], tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    more = {"SCORING_WORKER_METRICS_BIND": address, "SCORING_METRICS_TOKEN": METRICS_TOKEN}
    good = 'scoring_job_attempts_total{kind="score",state="succeeded"}'
    bad = 'scoring_job_attempts_total{kind="score",state="failed"}'
    bearer = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    with (
        job_worker(tmp_path, {**settings_of_worker, **more}) as worker,
        httpx.Client(base_url=f"http://{address}", headers=bearer) as client,
    ):
        for body in (VALID, VALID, b"{}"):
            caller.ended(caller.submit(body))

        def page() -> dict[str, float]:
            lines = client.get("/metrics").text.splitlines()
            pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
            return {name: float(value) for name, _, value in pairs}

        eventually(lambda: (page()[good], page()[bad]) == (2, 1), "the counts")
        assert page()['scoring_rows_total{result="scored"}'] == 2
        assert client.get("/healthz").text == "ok"
        assert client.get("/nowhere").status_code == 404
        assert client.get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 401
        taken = job_worker(tmp_path / "other", {**settings_of_worker, **more})
        (tmp_path / "other").mkdir()
        with pytest.raises(CannotStart, match="SCORING_WORKER_METRICS_BIND"), taken:
            pass
        assert worker.stop() == 0
    eventually(lambda: not responds(f"http://{address}/healthz"), "the end of the page")
