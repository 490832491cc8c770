"""Unexpected errors: a line in the log and a report to Sentry, by type and place.

Never the text of an exception: it may hold a plate.
"""

import logging
import traceback

from service.record import Record
from service.reports import reports

log = logging.getLogger("gunicorn.error")


def report(error: BaseException, record: Record) -> None:
    """Log an unexpected error of a request and send it to Sentry."""
    log_exception(error, record.request_id)
    reports.send(error, record)


def log_exception(error: BaseException, request_id: str) -> None:
    """Log the type and the place of an exception."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    place = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    log.error("Internal error %s in request %s at %s", type(error).__name__, request_id, place)
