"""Jobs for tests of records, workers and queues, and stores of both forms."""

from itertools import count
from typing import Any, Final

from service.jobs.job import Job, new_id
from service.jobs.records import Event, Records

# A time, in seconds since 1970.
NOW: Final = 1_800_000_000.0
LEASE: Final = 30.0
KEEP: Final = 3600.0
_numbers = count()


def a_job(**changed: Any) -> Job:
    """A job that was just accepted; later ones have later ids."""
    number = next(_numbers)
    values = {
        "id": new_id(NOW + number / 1000),
        "owner": "alice",
        "kind": "score",
        "model": "regno",
        "fingerprint": f"{number:064}",
        "input": "file:none/none",
        "media_type": "application/json",
        "created": NOW,
        "keep": KEEP,
    }
    return Job(**{**values, **changed})


def events(records: Records, now: float) -> list[Event]:
    """The events of the outbox that are due, taken as senders do, for LEASE seconds."""
    taken: list[Event] = []
    for endpoint in records.owed():
        while event := records.take_event(endpoint, now, now + LEASE):
            taken.append(event)
    return taken
