"""Faults of the broker, of Redis and of workers, while jobs are submitted and done."""

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from random import Random
from threading import Event
from time import perf_counter, time
from typing import Any

import httpx
import psutil
import pytest
from flask.testing import FlaskClient

from loadgen.common.processes import free_port
from service.jobs.states import State
from tests.support.hurting_worker import SLOW
from tests.support.installation import OWNER, Installation, Worker
from tests.support.jobs import events
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis_server import RedisServer
from tests.support.server import KEY_HEADER, eventually
from tests.support.strategies import VALID
from tests.support.tables import as_csv, samples
from tests.support.web import READING
from tests.support.web_server import WebServer, web_serving

pytestmark = [pytest.mark.slow, pytest.mark.alone]

_JOBS = 1000
_KILLS = 100
# Of so many kills one is of a whole worker.
_WHOLE = 25
# Between submissions, in seconds: the workers are to keep up.
_PAUSE = 0.1


@pytest.fixture
def settings_of_jobs(broker_url: str, records_url: str) -> dict[str, str]:
    return {"BROKER": broker_url, "RECORDS": records_url, "JOB_LEASE_SECONDS": "5"}


@pytest.fixture
def make_jobs(
    settings_of_jobs: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., Installation]]:
    """Makes an installation; more settings can be given."""
    with ExitStack() as opened:

        def make(**more: str) -> Installation:
            made = Installation(tmp_path, {**settings_of_jobs, **more})
            return opened.enter_context(closing(made))

        yield make


def test_a_hundred_killed_workers_lose_no_job_and_end_none_twice(
    make_jobs: Callable[..., Installation], client: FlaskClient
) -> None:
    jobs = make_jobs(JOB_ATTEMPTS="20", JOB_WORKERS="2")
    bodies = [VALID, b"[" + VALID + b"]", b"[" + b",".join([VALID] * 50) + b"]"]
    answered = [
        client.post("/reg/", data=body, content_type="application/json", headers=KEY_HEADER).data
        for body in bodies
    ]
    chosen = Random(16)
    with ExitStack() as running:
        workers: list[Worker] = []

        def start() -> None:
            worker = jobs.start_worker()
            running.callback(worker.kill)
            worker.wait_ready()
            workers.append(worker)

        start()
        start()
        with ThreadPoolExecutor(4) as threads:
            submitted = [
                threads.submit(jobs.submit, bodies[n % 3], webhook="done") for n in range(_JOBS)
            ]
            for kill in range(1, _KILLS + 1):
                jobs.until_ended(_JOBS * kill // (_KILLS + 10))
                if kill % _WHOLE == 0:
                    workers.pop(0).kill()
                    start()
                else:
                    _kill_one(workers, chosen)
            ids = [one.result() for one in submitted]
        done = jobs.ended(ids)
    assert {job.state for job in done} == {State.SUCCEEDED}
    assert [jobs.result(job) for job in ids] == [answered[n % 3] for n in range(_JOBS)]
    notified = [notice.job for notice in events(jobs.stores.records, time() + 1)]
    assert sorted(notified) == sorted(ids)


def _kill_one(workers: list[Worker], chosen: Random) -> None:
    """Kill a process that makes attempts; one that died by itself meanwhile does not count."""
    while True:
        victims = [victim for worker in workers for victim in worker.processes()]
        try:
            if victims:
                chosen.choice(victims).kill()
                return
        except psutil.NoSuchProcess:
            continue


class _Submissions:
    """Submits jobs over HTTP one after the other until it is stopped; notes what came of each."""

    def __init__(self, web: WebServer) -> None:
        self._web = web
        self._stop = Event()
        self.taken: list[str] = []
        self.refused: list[int] = []
        self.slowest = 0.0

    def run(self) -> None:
        with self._web.client() as client:
            while not self._stop.wait(_PAUSE):
                began = perf_counter()
                reply = client.post("/jobs", json={"model": "regno", "input": READING})
                self.slowest = max(self.slowest, perf_counter() - began)
                if reply.status_code == 202:
                    self.taken.append(reply.json()["body"]["id"])
                else:
                    self.refused.append(reply.status_code)

    def stop(self) -> None:
        self._stop.set()

    def more(self, *, taken: int = 0, refused: int = 0) -> None:
        """Wait until so many more are taken and refused."""
        taken, refused = len(self.taken) + taken, len(self.refused) + refused
        eventually(
            lambda: len(self.taken) >= taken and len(self.refused) >= refused,
            f"{taken} taken, {refused} refused",
        )


@contextmanager
def _submitting(
    jobs: Installation, settings_of_jobs: dict[str, str], folder: Path
) -> Iterator[_Submissions]:
    """Submissions from three threads, and a worker; all that were taken must succeed."""
    settings = {name.lower(): value for name, value in settings_of_jobs.items()}
    with (
        web_serving(folder, jobs_dir=jobs.settings.jobs_dir, **settings) as web,
        jobs.worker(),
        ThreadPoolExecutor(3) as threads,
    ):
        submissions = _Submissions(web)
        running = [threads.submit(submissions.run) for _ in range(3)]
        try:
            yield submissions
        finally:
            submissions.stop()
        for one in running:
            one.result()
        done = jobs.ended(submissions.taken)
    assert {job.state for job in done} == {State.SUCCEEDED}
    assert set(submissions.refused) == {503}
    assert submissions.slowest < 5  # its limits make a second; the machine does other things


def test_nothing_that_was_taken_is_lost_whatever_happens_to_broker_and_records(
    make_jobs: Callable[..., Installation],
    settings_of_jobs: dict[str, str],
    rabbitmq: RabbitMQ,
    redis: RedisServer,
    tmp_path: Path,
) -> None:
    jobs = make_jobs()
    with ExitStack() as started:
        with _submitting(jobs, settings_of_jobs, tmp_path / "web") as submissions:
            submissions.more(taken=20)
            with rabbitmq.memory_alarm():
                submissions.more(taken=5)
            with rabbitmq.paused():
                submissions.more(taken=5)
            with redis.paused():
                submissions.more(refused=3)
            submissions.more(taken=20)
            redis.stop()
            submissions.more(refused=5)
            redis.start()
            submissions.more(taken=20)
            rabbitmq.stop()
            submissions.more(taken=20)
            late = jobs.start_worker()  # it begins without a broker
            started.callback(late.kill)
            rabbitmq.start()
            submissions.more(taken=20)
        late.wait_ready()


def test_a_crash_of_records_and_broker_takes_nothing_that_was_taken(
    make_jobs: Callable[..., Installation],
    settings_of_jobs: dict[str, str],
    rabbitmq: RabbitMQ,
    redis: RedisServer,
    tmp_path: Path,
) -> None:
    with (
        redis.losing_nothing(),
        _submitting(make_jobs(), settings_of_jobs, tmp_path / "web") as submissions,
    ):
        submissions.more(taken=10)
        redis.kill()
        submissions.more(refused=3)
        redis.start()
        submissions.more(taken=10)
        rabbitmq.kill()
        submissions.more(taken=10)
        rabbitmq.start()
        submissions.more(taken=10)


def test_a_lost_connection_to_the_broker_costs_no_attempt(
    make_jobs: Callable[..., Installation], rabbitmq: RabbitMQ
) -> None:
    """With two workers: the message of the job that runs comes again to either."""
    jobs = make_jobs(JOB_LEASE_SECONDS="30", JOB_ATTEMPTS="1")
    with jobs.worker() as first, jobs.worker() as second:
        job = jobs.submit(SLOW)
        jobs.until(job, lambda found: found.done > 0, "it runs")
        processes = {*first.processes(), *second.processes()}
        rabbitmq.close_connections()
        (done,) = jobs.ended([job])
        assert {*first.processes(), *second.processes()} == processes
        (after,) = jobs.ended([jobs.submit(VALID)])
    assert (done.state, done.attempts, jobs.result(job)) == (State.SUCCEEDED, 1, b"slowly")
    assert (after.state, after.attempts) == (State.SUCCEEDED, 1)


def test_a_worker_that_stands_still_longer_than_its_lease_loses_its_job(
    make_jobs: Callable[..., Installation],
) -> None:
    """It goes on where it stood, and changes nothing of what another worker has done meanwhile."""
    jobs = make_jobs(JOB_LEASE_SECONDS="1")
    worker = jobs.start_worker()
    try:
        worker.wait_ready()
        job = jobs.submit(SLOW, webhook="done")
        jobs.until(job, lambda found: found.done > 0, "it runs")
        stopped = [psutil.Process(worker.process.pid), *worker.processes()]
        for process in stopped:
            process.suspend()
        with jobs.worker():
            (done,) = jobs.ended([job])
        for process in stopped:
            process.resume()
        jobs.ended([jobs.submit(VALID)])  # by the worker that stood still
        assert worker.stop() == 0
    finally:
        worker.kill()
    assert (done.state, done.attempts, jobs.result(job)) == (State.SUCCEEDED, 2, b"slowly")
    assert jobs.job(job) == done
    assert [event.job for event in events(jobs.stores.records, time() + 1)] == [job]


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 MiB; it is gone at the end."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounts are not permitted here (root may)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Leave no byte of its file system."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_jobs_wait_for_room_on_a_full_disk(tmp_path: Path) -> None:
    """New ones are refused, and what was taken is done once there is room."""
    header, *rows = as_csv(samples(200)).splitlines(keepends=True)
    table = header + b"".join(rows) * 150
    with (
        _small_disk(tmp_path / "disk") as disk,
        web_serving(
            tmp_path / "web",
            jobs_dir=str(disk / "jobs"),
            job_checkpoint_rows="2000",
            job_attempts="1",
        ) as web,
        web.client() as client,
    ):

        def submit() -> httpx.Response:
            return client.post(
                "/jobs?model=regno", content=table, headers={"content-type": "text/csv"}
            )

        def shown(path: str) -> Any:
            return client.get(path).json()["body"]

        reply = submit()
        path = reply.headers["location"]
        eventually(lambda: shown(path)["progress"]["done"] > 0, "it has saved some rows")
        _fill(disk / "filler")
        refused = submit()
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        eventually(lambda: "BlobsUnavailable" in web.output(), "its work can't be saved")
        (disk / "filler").unlink()
        eventually(lambda: shown(path)["state"] == "succeeded", "there is room again", 60)
        assert shown(path)["progress"] == {"done": 30_000, "total": 30_000}
        assert submit().status_code == 202


def test_a_cancelled_job_stays_cancelled_whatever_its_state_was(
    make_jobs: Callable[..., Installation],
) -> None:
    jobs = make_jobs()
    accepted = jobs.submit(VALID)
    jobs.service.cancel(accepted, OWNER)
    worker = jobs.start_worker()
    try:
        worker.wait_ready()
        succeeded, running = jobs.submit(VALID), jobs.submit(SLOW)
        jobs.ended([succeeded])
        jobs.until(running, lambda job: job.done > 0, "it runs")
    finally:
        worker.kill()
    queued = jobs.submit(VALID)
    for job in (succeeded, running, queued):
        jobs.service.cancel(job, OWNER)
    with jobs.worker():
        jobs.ended([running, jobs.submit(VALID)])
    states = [jobs.job(job).state for job in (accepted, succeeded, running, queued)]
    cancelled = State.CANCELLED
    assert states == [cancelled, State.SUCCEEDED, cancelled, cancelled]
    assert jobs.job(queued).attempts == 0


def test_web_processes_begin_without_broker_and_records(tmp_path: Path) -> None:
    settings = {
        "broker": f"amqp://tests:planted@127.0.0.1:{free_port()}/tests",
        "records": f"redis://127.0.0.1:{free_port()}/0",
    }
    web = WebServer(tmp_path, **settings)
    try:
        web.wait_until(lambda: _status(web, "/healthz") == 200)
        assert _status(web, "/readyz") == 503
        with web.client() as client:
            reply = client.post("/jobs", json={"model": "regno", "input": READING})
            assert reply.status_code == 503
            assert json.loads(reply.content)["status"] == "fail"
        assert web.stop() == 0
    finally:
        web.close()


def _status(web: WebServer, path: str) -> int:
    try:
        return httpx.get(f"{web.url}{path}").status_code
    except httpx.TransportError:
        return 0
