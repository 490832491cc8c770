"""Sends webhooks from the web processes: results can be fetched while they run, and not else."""

from threading import Event, Thread
from time import time
from typing import Final

from service.jobs.records import Records
from service.jobs.webhook_sender import Sender
from service.jobs.webhooks import Endpoints
from service.telemetry.failures import contained
from service.telemetry.metrics.jobs import JobMetrics

_PAUSE_SECONDS: Final = 1.0


class Webhooks:
    """A thread that sends what is due; processes share the work by the leases of the events."""

    def __init__(self, endpoints: Endpoints, records: Records, metrics: JobMetrics) -> None:
        self._endpoints = endpoints
        self._sender = Sender(records, endpoints, time, metrics.webhook)
        self._ends = Event()
        self._thread = Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End after the attempts that are under way."""
        self._ends.set()
        self._thread.join()
        self._sender.close()

    def _run(self) -> None:
        while not self._ends.wait(_PAUSE_SECONDS):
            contained("webhooks", self._endpoints.reload)
            contained("webhooks", self._sender.send_due)
