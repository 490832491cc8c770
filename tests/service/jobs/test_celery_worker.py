"""The worker of the distributed form, with the real RabbitMQ, Redis and model."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pika
import pytest
from flask.testing import FlaskClient

from loadgen.common.processes import free_port, responds
from service.jobs.job import TABLE
from service.jobs.liveness import is_alive
from service.jobs.states import State
from tests.support.hurting_worker import POISON, SLOW, SLOW_STEPS
from tests.support.installation import OWNER, Installation
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis_server import RedisServer
from tests.support.server import KEY_HEADER, eventually
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow

# What docs/operating.md says that a worker's user needs.
_PERMITTED = "^jobs([.].*)?$"


def _installation(rabbitmq: RabbitMQ, records: str, folder: Path) -> Installation:
    """With a virtual host and a user of its own."""
    vhost = rabbitmq.add_vhost()
    url = rabbitmq.add_user(f"worker-{vhost}", vhost, _PERMITTED, _PERMITTED, _PERMITTED)
    return Installation(folder, {"BROKER": url, "RECORDS": records, "JOB_LEASE_SECONDS": "10"})


@pytest.fixture(scope="module")
def served(
    rabbitmq: RabbitMQ, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation with a worker. Its tests come first: those of others empty the Redis."""
    folder, records = tmp_path_factory.mktemp("served"), redis.url.removesuffix("0") + "1"
    with closing(_installation(rabbitmq, records, folder)) as jobs, jobs.worker():
        yield jobs


@pytest.fixture
def jobs(rabbitmq: RabbitMQ, records_url: str, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose workers the test starts."""
    with closing(_installation(rabbitmq, records_url, tmp_path)) as jobs:
        yield jobs


@pytest.fixture
def answered(client: FlaskClient) -> Callable[[bytes], bytes]:
    """What the model's own route answers to a body."""

    def post(body: bytes) -> bytes:
        reply = client.post("/reg/", data=body, content_type="application/json", headers=KEY_HEADER)
        return bytes(reply.data)

    return post


def test_jobs_are_done_and_their_results_are_the_synchronous_replies(
    served: Installation, answered: Callable[[bytes], bytes]
) -> None:
    bodies = (VALID, b"[" + VALID + b"]", b"{}")
    one, many, failed = served.ended([served.submit(body) for body in bodies])
    assert (one.state, served.result(one.id)) == (State.SUCCEEDED, answered(bodies[0]))
    assert (many.state, served.result(many.id)) == (State.SUCCEEDED, answered(bodies[1]))
    assert (failed.state, failed.attempts) == (State.FAILED, 1)


def test_a_job_that_kills_its_process_is_dead_after_its_attempts_and_delays_nobody(
    served: Installation,
) -> None:
    poison = served.submit(POISON)
    (done,) = served.ended([served.submit(VALID)])
    # Its next attempt begins a second after the death: what was queued behind it waited less.
    assert served.job(poison).attempts == 1
    (dead,) = served.ended([poison])
    assert (dead.state, dead.attempts) == (State.DEAD, served.settings.job_attempts)
    assert done.state is State.SUCCEEDED
    assert done.finished < dead.finished


def test_jobs_of_a_kind_are_not_held_up_by_another_kind(served: Installation) -> None:
    slow = [served.submit(SLOW, kind=TABLE) for _ in range(3)]
    (quick,) = served.ended([served.submit(VALID)])
    assert [served.job(job).state for job in slow].count(State.RUNNING) <= 1
    assert quick.state is State.SUCCEEDED
    for job in slow:
        served.service.cancel(job, OWNER)
    assert {job.state for job in served.ended(slow)} == {State.CANCELLED}


def test_what_the_broker_gives_up_is_a_dead_job(served: Installation) -> None:
    job = served.submit(SLOW)
    with pika.BlockingConnection(pika.URLParameters(served.settings.broker)) as connection:
        channel = connection.channel()
        for body in (b"none of ours", f'[["{job}"], {{}}, {{}}]'.encode()):
            properties = pika.BasicProperties("application/json", "utf-8")
            channel.basic_publish("jobs.dead", "", body, properties)
    (dead,) = served.ended([job])
    assert (dead.state, dead.error.partition(":")[0]) == (State.DEAD, "attempts")


def test_a_worker_of_one_kind_leaves_the_others_alone(jobs: Installation) -> None:
    with jobs.worker("--kinds", "table"):
        score = jobs.submit(VALID)
        (failed,) = jobs.ended([jobs.submit(b"no table", kind=TABLE)])
        assert failed.state is State.FAILED
        eventually(
            lambda: is_alive(jobs.settings, lambda: jobs.stores.queue), "it shows that it is alive"
        )
    assert jobs.job(score).attempts == 0


def test_a_stopped_worker_saves_its_work_and_another_goes_on(jobs: Installation) -> None:
    early = jobs.submit(VALID)
    assert jobs.job(early).state is State.ACCEPTED  # no worker ever began: there is no queue
    with jobs.worker():
        job = jobs.submit(SLOW)
        jobs.until(job, lambda found: found.done > 2, "some steps are saved")
    stopped = jobs.job(job)
    assert (stopped.state, stopped.attempts) == (State.QUEUED, 0)
    assert stopped.done < SLOW_STEPS
    with jobs.worker():
        jobs.until(job, lambda found: found.state is State.RUNNING, "it runs")
        assert jobs.job(job).done >= stopped.done
        done, begun_early = jobs.ended([job, early])
    assert (done.state, done.attempts, jobs.result(job)) == (State.SUCCEEDED, 1, b"slowly")
    assert begun_early.state is State.SUCCEEDED


def test_the_page_of_metrics_comes_back_when_its_process_ends(jobs: Installation) -> None:
    port = free_port()
    jobs.environment["SCORING_WORKER_METRICS_BIND"] = f"127.0.0.1:{port}"
    with jobs.worker() as worker:
        for _ in range(2):
            worker.kill_page(port)
            eventually(lambda: responds(f"http://127.0.0.1:{port}/healthz"), "the page again")
        (done,) = jobs.ended([jobs.submit(VALID)])
    assert done.state is State.SUCCEEDED


def test_a_second_signal_ends_a_worker_at_once_and_loses_nothing(jobs: Installation) -> None:
    worker = jobs.start_worker()
    try:
        worker.wait_ready()
        job = jobs.submit(SLOW)
        jobs.until(job, lambda found: found.done > 0, "it runs")
        worker.process.send_signal(signal.SIGTERM)
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(20)
    finally:
        worker.kill()
    with jobs.worker():
        (done,) = jobs.ended([job])
    assert done.state is State.SUCCEEDED
