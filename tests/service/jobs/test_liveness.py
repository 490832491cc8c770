"""Whether the worker of this machine counts as alive."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from service.jobs.celery_queue import CeleryQueue
from service.jobs.liveness import beat, is_alive
from service.jobs.queues import Queue
from tests.support.installation import Installation


@pytest.fixture
def jobs(tmp_path: Path) -> Installation:
    return Installation(tmp_path, {})


def _alive(jobs: Installation, queue: Queue | None = None) -> bool:
    return is_alive(jobs.settings, lambda: queue or jobs.stores.queue)


def test_a_worker_is_alive_while_it_shows_it(jobs: Installation) -> None:
    assert not _alive(jobs)
    beat(jobs.settings)
    assert _alive(jobs)


def test_a_silent_worker_is_alive_only_if_its_queue_is_away(jobs: Installation) -> None:
    beat(jobs.settings)
    (shown,) = (Path(jobs.settings.jobs_dir) / "workers").iterdir()
    os.utime(shown, (1.0, 1.0))
    assert not _alive(jobs)
    with closing(CeleryQueue(f"amqp://tests:planted@127.0.0.1:{free_port()}/tests")) as away:
        assert _alive(jobs, away)
