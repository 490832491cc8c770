"""A job out of an input that is stored and the request that brought it."""

from service.jobs.job import Job
from service.telemetry.record import Record
from service.web.inputs import Input


def job_of(given: Input, record: Record, deadline: float = 0.0) -> Job:
    """The job as it is submitted; the service sets its times and its limits."""
    return Job(
        owner=record.key_name,
        created=0.0,
        keep=0.0,
        deadline=deadline,
        request_id=record.request_id,
        **given._asdict(),
    )
