"""The job worker of the distributed form: what it does. Celery says when (`celery_worker`)."""

import os
from collections.abc import Callable, Mapping
from time import sleep, time
from typing import Final, Protocol

from service.config.settings import Settings
from service.jobs.execution import Execution, Kind, Pace
from service.jobs.job import Job
from service.jobs.liveness import beat
from service.jobs.metrics_page import MetricsPage
from service.jobs.models import JobModels
from service.jobs.processes import NICENESS, limit_memory, worker_name
from service.jobs.records import RecordsUnavailable
from service.jobs.stores import Stores
from service.jobs.sweeper import Sweeper
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained
from service.telemetry.metrics import multiprocess

_AWAY_SECONDS: Final = 1.0


class Deliver(Protocol):
    """Makes an attempt at a job, and returns when the message that named it is done with."""

    def __call__(self, job: str, *, redelivered: bool) -> None:
        """`redelivered`: the process that had the message before has died, or lost its connection.

        Raises RecordsUnavailable: the message must be delivered again.
        """


class DistributedWorker:
    """What is done in a worker's processes (`begin`) and in their parent (`sweep`, `give_up`)."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        models: JobModels,
        kinds: Mapping[str, Kind],
        page: MetricsPage,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._models = models
        self._kinds = kinds
        self._page = page
        self._sweeper = Sweeper(*stores)

    def begin(self, stopping: Callable[[], bool], place: int) -> Deliver:
        """Begin in a process, after its fork. `stopping`: it has to give its job back.

        `place` is its number among the processes, whose metrics it goes on with.

        Raises ModelRefused.
        """
        settings, name = self._settings, worker_name(os.getpid())
        os.nice(NICENESS)
        contained.start(self._models.background.failure)
        reports.start(settings, self._models.background.report)
        multiprocess.bind_worker(place)
        self._models.start(str(place))
        limit_memory(settings.job_memory_mb)
        records = self._stores.records
        execution = Execution(
            records,
            self._stores.blobs,
            self._kinds,
            Pace(lease=settings.job_lease_seconds, checkpoint_rows=settings.job_checkpoint_rows),
            stopping=stopping,
            observe=self._models.observe,
        )

        def deliver(job: str, *, redelivered: bool) -> None:
            contained("models", self._models.follow)
            is_again = False
            while True:
                try:
                    # The claim may have been stored, and another worker have the job by now.
                    own = is_again and _is_of(records.get(job), name)
                    execution.deliver(job, name, redelivered=own or (redelivered and not is_again))
                except RecordsUnavailable:
                    if stopping():
                        raise
                    sleep(_AWAY_SECONDS)  # no worker could do anything now
                    is_again = True
                else:
                    return

        return deliver

    def sweep(self) -> None:
        """Publish what the queue owes a worker, remove what is expired.

        Raises RecordsUnavailable.
        """
        contained("metrics", self._page.restart_if_ended)
        beat(self._settings)
        self._sweeper.sweep(time())

    def give_up(self, job: str, reason: str) -> None:
        """End a job that the broker gave up. Raises RecordsUnavailable."""
        self._stores.records.kill(job, time(), reason)


def _is_of(job: Job | None, worker: str) -> bool:
    return job is not None and job.worker == worker
