"""Failures in the log: the type and the place of an exception, never its text.

The text of an exception may hold a plate. `contained` runs work that must not stop a process.
"""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from service.telemetry.error_reports import reports
from service.telemetry.record import Record

# A part that fails each second is logged once a minute.
_QUIET_SECONDS: Final = 60.0
_FRAMES: Final = 5

log = logging.getLogger("scoring")


def described(error: BaseException) -> str:
    """The type and the place of an exception; of an OSError also the meaning of its number."""
    kind = type(error).__name__
    if isinstance(error, OSError) and error.errno:
        kind = f"{kind} ({os.strerror(error.errno)})"
    return f"{kind} at {place_of(error)}"


def place_of(error: BaseException) -> str:
    """Where an exception was raised, and from where that was called, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])


def report(error: BaseException, record: Record) -> None:
    """Log an unexpected error of a request, and send it to Sentry."""
    kind, place = type(error).__name__, place_of(error)
    log.error("Internal error %s in request %s at %s", kind, record.request_id, place)
    reports.send(error, record)


def log_failure(what: str, error: BaseException) -> None:
    """Log an unexpected error of something that is not a single request."""
    log.error("Internal error in %s: %s", what, described(error))


def hide_texts() -> None:
    """Log uncaught exceptions of this process, where Python would print their texts to stderr."""

    def log_uncaught(error: BaseException | None) -> None:
        if error is not None:
            log.error("Uncaught %s", described(error))

    sys.excepthook = lambda _kind, error, _traceback: log_uncaught(error)
    threading.excepthook = lambda details: log_uncaught(details.exc_value)
    sys.unraisablehook = lambda details: log_uncaught(details.exc_value)


class Contained:
    """Runs parts of background work. A failure is logged and counted, and stops nothing."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._count: Callable[[str], None] = lambda _part: None
        self._now = now
        self._quiet_until: dict[str, float] = {}

    def start(self, count: Callable[[str], None]) -> None:
        """Count failures from now on: `count` is called with the name of each part that failed."""
        self._count = count

    def __call__(self, part: str, work: Callable[..., object], *arguments: Any) -> None:
        """Run a part. Never raises an Exception."""
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - this is what it is for
            self._note(part, error)

    def _note(self, part: str, error: Exception) -> None:
        with suppress(Exception):  # the count may be what fails
            self._count(part)
        now = self._now()
        if now >= self._quiet_until.get(part, now):
            self._quiet_until[part] = now + _QUIET_SECONDS
            log.error("Background work fails in the part %s: %s", part, described(error))


contained: Final = Contained()
