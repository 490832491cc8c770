"""Publishing to the real RabbitMQ: confirmed, or refused after one try, whatever happens."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from socket import SHUT_RDWR, create_server, socket
from threading import Thread

import pytest
from kombu import Connection

from service.jobs.celery_queue import CeleryQueue
from service.jobs.celery_topology import declare, queue_of
from service.jobs.job import Job
from service.jobs.queues import QueueFull, QueueUnavailable
from tests.support.jobs_queue import ids, make_job
from tests.support.rabbitmq import RabbitMQ
from tests.support.server import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def declared(broker_url: str) -> str:
    """The address of a broker with the queues of jobs; that of tables holds two."""
    with Connection(broker_url) as connection:
        declare(connection, queue_of("score"), queue_of("table", length=2))
    return broker_url


@pytest.fixture
def queue(declared: str) -> Iterator[CeleryQueue]:
    with closing(CeleryQueue(declared)) as queue:
        yield queue


def _refused(queue: CeleryQueue, job: Job) -> None:
    """Publishing must fail while the broker is as the test has it."""
    with pytest.raises(QueueUnavailable):
        queue.publish(job)


def _publish(queue: CeleryQueue, job: Job) -> None:
    """Publish, again if it was not confirmed: the limits are shorter than a busy machine needs.

    What was not confirmed may have been published: queues are compared as sets.
    """

    def is_confirmed() -> bool:
        try:
            queue.publish(job)
        except QueueUnavailable:
            return False
        return True

    eventually(is_confirmed, "the broker confirms")


def test_a_job_is_published_by_its_id_to_the_queue_of_its_kind(
    queue: CeleryQueue, declared: str
) -> None:
    _publish(queue, make_job("a"))
    _publish(queue, make_job("b", kind="table"))
    assert set(ids(declared, "jobs.score")) == {"a"}
    assert set(ids(declared, "jobs.table")) == {"b"}


def test_a_full_queue_says_so_and_others_are_not_hindered(
    queue: CeleryQueue, declared: str
) -> None:
    with pytest.raises(QueueFull):  # a quorum queue notices a little later that it is full
        list(map(partial(_publish, queue), [make_job(str(n), kind="table") for n in range(10)]))
    _publish(queue, make_job("a"))
    assert set(ids(declared, "jobs.score")) == {"a"}


def test_what_no_queue_takes_is_not_published(broker_url: str) -> None:
    with closing(CeleryQueue(broker_url)) as queue:
        _refused(queue, make_job("a"))  # no exchange
        with Connection(broker_url) as connection:
            declare(connection, queue_of("score"))
        _refused(queue, make_job("b", kind="table"))  # no queue
        _publish(queue, make_job("c"))
    assert set(ids(broker_url, "jobs.score")) == {"c"}


def test_a_memory_alarm_is_a_refusal(queue: CeleryQueue, rabbitmq: RabbitMQ) -> None:
    _publish(queue, make_job("a"))
    with rabbitmq.memory_alarm():
        _refused(queue, make_job("b"))
        _refused(queue, make_job("c"))
        with pytest.raises(QueueUnavailable):
            queue.ping()
    _publish(queue, make_job("d"))
    queue.ping()


def test_a_broker_without_queues_so_far_takes_messages(broker_url: str) -> None:
    with closing(CeleryQueue(broker_url)) as queue:
        for _ in range(2):
            queue.ping()
        _refused(queue, make_job("a"))  # there is no queue yet


def test_a_broker_that_answers_nothing_is_away(queue: CeleryQueue, rabbitmq: RabbitMQ) -> None:
    _publish(queue, make_job("a"))
    with rabbitmq.paused():
        _refused(queue, make_job("b"))  # on a connection that there is
        _refused(queue, make_job("c"))  # on a new one
        with pytest.raises(QueueUnavailable):
            queue.ping()
    _publish(queue, make_job("d"))
    queue.ping()


@contextmanager
def _broken_broker(*, closes: bool) -> Iterator[tuple[str, list[socket]]]:
    """The address of a server that says nothing, and the connections that it got."""
    with create_server(("127.0.0.1", 0)) as server:
        got: list[socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    got.append(server.accept()[0])
                    if closes:
                        got[-1].close()

        thread = Thread(target=accept)
        thread.start()
        try:
            yield f"amqp://127.0.0.1:{server.getsockname()[1]}//", got
        finally:
            server.shutdown(SHUT_RDWR)
            thread.join()
            for connection in got:
                connection.close()


@pytest.mark.parametrize("closes", [True, False])
def test_a_publisher_connects_once_and_never_tries_again_by_itself(*, closes: bool) -> None:
    """kombu would try a hundred times, with growing pauses."""
    with _broken_broker(closes=closes) as (url, got), closing(CeleryQueue(url)) as queue:
        _refused(queue, make_job("a"))
        with pytest.raises(QueueUnavailable):
            queue.ping()
        eventually(lambda: len(got) >= 2, "each has connected")
        assert len(got) == 2


def test_after_a_restart_what_was_published_is_there_and_more_is_taken(
    queue: CeleryQueue, declared: str, rabbitmq: RabbitMQ
) -> None:
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(partial(_publish, queue), [make_job(str(n)) for n in range(30)]))
    rabbitmq.stop()
    try:
        _refused(queue, make_job("away"))
    finally:
        rabbitmq.start()
    _publish(queue, make_job("after"))
    assert set(ids(declared, "jobs.score")) == {*map(str, range(30)), "after"}


def test_after_the_broker_closed_its_connection_a_publisher_makes_another(
    queue: CeleryQueue, declared: str, rabbitmq: RabbitMQ
) -> None:
    _publish(queue, make_job("a"))
    rabbitmq.close_connections()
    _publish(queue, make_job("b"))
    assert set(ids(declared, "jobs.score")) == {"a", "b"}


def test_threads_and_forks_have_connections_of_their_own(queue: CeleryQueue, declared: str) -> None:
    _publish(queue, make_job("parent"))
    if (child := os.fork()) == 0:
        try:
            _publish(queue, make_job("child"))
            queue.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(partial(_publish, queue), [make_job(str(n)) for n in range(100)]))
    assert set(ids(declared, "jobs.score")) == {"parent", "child", *map(str, range(100))}


def test_a_publisher_needs_no_permission_but_to_write_to_the_exchange(
    declared: str, rabbitmq: RabbitMQ
) -> None:
    url = rabbitmq.add_user("web", declared.rpartition("/")[2], "", "^jobs$", "")
    with closing(CeleryQueue(url)) as queue:
        _publish(queue, make_job("a"))
        queue.ping()
    assert set(ids(declared, "jobs.score")) == {"a"}
