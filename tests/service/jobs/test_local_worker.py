"""The embedded worker as a real process: what is killed, stopped and poisoned loses nothing."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from time import time
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest
from msgspec import structs

from loadgen.common.errors import CannotStart
from loadgen.common.processes import free_port, responds
from service.jobs.job import SCORE, TABLE, Job
from service.jobs.states import TERMINAL, State
from tests.support.hurting_worker import POISON
from tests.support.installation import OWNER, Installation, Worker
from tests.support.jobs import events
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


_SETTINGS = {"JOB_CHECKPOINT_ROWS": "1000", "JOB_LEASE_SECONDS": "600", "JOB_MEMORY_MB": "200"}


@pytest.fixture
def jobs(tmp_path: Path) -> Installation:
    """Workers of one process, which save their work often; a lease outlives the test."""
    return Installation(tmp_path, _SETTINGS)


class Shared(NamedTuple):
    """An installation whose worker runs: for tests that leave it as it was."""

    jobs: Installation
    worker: Worker


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The installation for all of these tests."""
    jobs = Installation(tmp_path_factory.mktemp("shared"), _SETTINGS)
    with jobs.worker() as worker:
        yield Shared(jobs, worker)


def test_a_job_is_done_and_the_worker_stops_in_order(jobs: Installation) -> None:
    before = jobs.submit(VALID)
    with jobs.worker() as worker:
        body = json.loads(jobs.result(before))
        assert body["status"] == "ok"
        assert jobs.result(jobs.submit(VALID)) == jobs.result(before)
    lines = worker.log()
    assert lines[-1]["message"] == "Job worker stopped"
    assert "error" not in {line["level"] for line in lines}


def test_a_killed_worker_goes_on_from_the_checkpoint(jobs: Installation, table: bytes) -> None:
    with jobs.worker() as worker:
        undisturbed = jobs.result(jobs.submit(table, TABLE))
        job = jobs.submit(table, TABLE)
        found = jobs.begun(job)
        os.kill(_process(found), signal.SIGKILL)
        assert jobs.begun(job, found.done + 1).attempts == 2
        worker.kill()  # with its children
    with jobs.worker():
        assert jobs.result(job) == undisturbed
    ended = jobs.job(job)
    assert (ended.attempts, ended.fence, ended.done) == (3, 3, _LONG)


def test_term_gives_the_job_back_with_its_progress_and_its_attempts(
    jobs: Installation, table: bytes
) -> None:
    with jobs.worker():
        job = jobs.submit(table, TABLE)
        jobs.begun(job)
    found = jobs.job(job)
    assert (found.state, found.attempts) == (State.QUEUED, 0)
    assert 0 < found.done < _LONG
    with jobs.worker():
        assert jobs.result(job).count(b"\n") == _LONG + 1
        assert jobs.job(job).done > found.done


def test_a_cancelled_job_stays_cancelled_over_a_restart(jobs: Installation, table: bytes) -> None:
    waiting = jobs.submit(VALID)
    jobs.service.cancel(waiting, OWNER)
    with jobs.worker() as worker:
        running = jobs.submit(table, TABLE)
        jobs.begun(running)
        assert jobs.service.cancel(running, OWNER) is not None
        worker.kill()
    with jobs.worker():
        done = jobs.submit(VALID)
        states = [job.state for job in jobs.ended([running, waiting, done])]
        late = jobs.service.cancel(done, OWNER)
    assert states == [State.CANCELLED, State.CANCELLED, State.SUCCEEDED]
    assert late is not None
    assert late.state is State.SUCCEEDED
    assert jobs.job(waiting).attempts == 0


def test_a_job_that_kills_its_process_dies_and_delays_nobody(shared: Shared) -> None:
    jobs, _ = shared
    jobs.result(jobs.submit(VALID))
    poison = jobs.submit(POISON)
    others = dict.fromkeys((1, 2), 0)  # by the attempts that the poison had
    while (found := jobs.job(poison)).state is not State.DEAD:
        jobs.result(jobs.submit(VALID))
        others[found.attempts] = others.get(found.attempts, 0) + 1
    assert (found.attempts, found.error.partition(":")[0]) == (3, "attempts")
    assert others[1] > 1
    assert others[2] > 1


def test_a_table_that_needs_more_memory_than_it_may_fails_and_its_worker_lives(
    shared: Shared,
) -> None:
    """A file of some kilobytes, whose rows are the same text of 100 KB: half a gigabyte."""
    jobs, worker = shared
    table: dict[str, Any] = {name: [str(cell)] * 5000 for name, cell in samples(1)[0].items()}
    same = pa.array([0] * 5000, pa.int32())
    table["camera_type"] = pa.DictionaryArray.from_arrays(same, ["x" * 100_000])
    packed = BytesIO()
    pyarrow.parquet.write_table(pa.table(table), packed, store_schema=False)
    assert len(packed.getvalue()) < 1_000_000
    (good,) = jobs.ended([jobs.submit(VALID)])
    processes = worker.processes()
    (bad, after) = jobs.ended([jobs.submit(packed.getvalue(), TABLE), jobs.submit(VALID)])
    assert worker.processes() == processes
    assert (good.state, after.state) == (State.SUCCEEDED, State.SUCCEEDED)
    assert (bad.state, bad.attempts) == (State.FAILED, 1)
    assert bad.error == "input: needs more memory than a job may have"


def test_expired_jobs_and_their_blobs_are_removed(shared: Shared) -> None:
    jobs, _ = shared
    records, blobs = jobs.stores.records, jobs.stores.blobs
    job = jobs.submit(VALID)
    (ended,) = jobs.ended([job])
    records.change(job, lambda found: structs.replace(found, expires=1.0))  # in 1970
    eventually(lambda: records.get(job) is None, "the end of the record")
    assert ended.result
    assert job not in list(blobs.jobs())


def test_a_version_that_becomes_live_does_the_next_jobs(
    jobs: Installation, tmp_path: Path, table: bytes
) -> None:
    registry = registry_of_twins(tmp_path)
    jobs.environment["SCORING_REGISTRY"] = str(tmp_path / "models")
    jobs.environment["SCORING_REGISTRY_POLL_SECONDS"] = "0.1"

    def version(given: bytes, kind: str = SCORE) -> str:
        (ended,) = jobs.ended([jobs.submit(given, kind)])
        return ended.version

    with jobs.worker():
        assert version(VALID) == FIRST
        registry.promote(SECOND, who="the tests")
        eventually(lambda: version(VALID) == SECOND, "the change")
        assert version(table[: len(table) // 50].rpartition(b"\n")[0], TABLE) == SECOND


def test_each_job_ends_once_however_often_its_processes_are_killed(tmp_path: Path) -> None:
    jobs = Installation(tmp_path, {"JOB_WORKERS": "2", "JOB_ATTEMPTS": "20"})
    records = jobs.stores.records
    array = f"[{','.join([VALID.decode()] * 1500)}]".encode()
    with jobs.worker():
        expected = jobs.result(jobs.submit(array))
        submitted = [jobs.submit(array, webhook="hook") for _ in range(60)]

        def are_over() -> bool:
            return all(jobs.job(job).state in TERMINAL for job in submitted)

        for _ in range(20):
            eventually(lambda: bool(records.running(100)) or are_over(), "a job that runs")
            for job in records.running(100):
                with suppress(ProcessLookupError):
                    os.kill(_process(job), signal.SIGKILL)
        results = {jobs.result(job) for job in submitted}
    assert results == {expected}
    attempts = [jobs.job(job).attempts for job in submitted]
    assert sum(attempts) > len(submitted)
    notified = [event.job for event in events(records, time())]
    assert sorted(notified) == sorted(submitted)


def test_a_worker_shows_what_its_attempts_came_to(jobs: Installation) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    jobs.environment["SCORING_WORKER_METRICS_BIND"] = address
    jobs.environment["SCORING_METRICS_TOKEN"] = METRICS_TOKEN
    good = 'scoring_job_attempts_total{kind="score",state="succeeded"}'
    bad = 'scoring_job_attempts_total{kind="score",state="failed"}'
    bearer = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    with (
        jobs.worker() as worker,
        httpx.Client(base_url=f"http://{address}", headers=bearer) as client,
    ):
        jobs.ended([jobs.submit(body) for body in (VALID, VALID, b"{}")])

        def page() -> dict[str, float]:
            lines = client.get("/metrics").text.splitlines()
            pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
            return {name: float(value) for name, _, value in pairs}

        eventually(lambda: (page()[good], page()[bad]) == (2, 1), "the counts")
        assert page()['scoring_rows_total{result="scored"}'] == 2
        assert client.get("/healthz").text == "ok"
        assert client.get("/nowhere").status_code == 404
        assert client.get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 401
        with pytest.raises(CannotStart, match="SCORING_WORKER_METRICS_BIND"), jobs.worker():
            pass
        worker.kill_page(port)
        eventually(lambda: responds(f"http://{address}/healthz"), "the page again")
        assert page()[good] == 2
    eventually(lambda: not responds(f"http://{address}/healthz"), "the end of the page")


def _process(job: Job) -> int:
    """The process that does a job."""
    return int(job.worker.rpartition(":")[2])
