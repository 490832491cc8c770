"""The state of jobs as metrics: how many there are, how long jobs and webhooks wait."""

from pathlib import Path
from time import time

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from service.config.settings import Settings
from service.jobs.job import KINDS
from service.jobs.states import State
from service.jobs.stores import Stores, open_stores
from service.telemetry.metrics.jobs import JobMetrics
from service.web.job_counts import JobCounts
from tests.support.jobs import a_job, events


@pytest.fixture
def stores(settings: Settings, tmp_path: Path) -> Stores:
    return open_stores(msgspec.structs.replace(settings, jobs_dir=str(tmp_path)))


def _published(stores: Stores) -> CollectorRegistry:
    registry = CollectorRegistry()
    JobCounts(stores, JobMetrics(registry, KINDS, State)).publish()
    return registry


def test_jobs_and_the_oldest_ones_that_wait_are_shown(stores: Stores) -> None:
    records, then = stores.records, time() - 1000
    records.accept(a_job(created=then), "", 9)
    ended = records.accept(a_job(created=then, webhook="done"), "", 9).job
    records.cancel(ended.id, ended.owner, then)
    registry = _published(stores)
    for state, number in (("accepted", 1), ("cancelled", 1), ("running", 0)):
        labels = {"kind": "score", "state": state}
        assert registry.get_sample_value("scoring_jobs", labels) == number
    for name, labels in (
        ("scoring_jobs_oldest_waiting_seconds", {"kind": "score"}),
        ("scoring_webhooks_oldest_due_seconds", {}),
    ):
        assert registry.get_sample_value(name, labels) == pytest.approx(1000, abs=100)


def test_a_webhook_that_is_due_later_is_not_late(stores: Stores) -> None:
    ended = stores.records.accept(a_job(webhook="done"), "", 9).job
    stores.records.cancel(ended.id, ended.owner, time())
    (event,) = events(stores.records, time())
    stores.records.unsent(event, time() + 1000, "", dead=False)
    assert _oldest_webhook(stores) == 0
    stores.records.sent(event)
    assert _oldest_webhook(stores) == 0


def _oldest_webhook(stores: Stores) -> float | None:
    return _published(stores).get_sample_value("scoring_webhooks_oldest_due_seconds")
