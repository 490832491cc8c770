"""Reports of unexpected errors to Sentry. Without a DSN the SDK is not even imported.

A report is made where an error becomes a 500, by an explicit call: no integration sits in
the way of good requests. Its contents are in `service.telemetry.sentry_event`, its sending in
`service.telemetry.sentry`.
"""

import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from service.config.settings import Settings
from service.telemetry.record import Record
from service.telemetry.sentry_event import report_of

if TYPE_CHECKING:
    from sentry_sdk import Client

log = logging.getLogger("scoring")

# Called for each report: "sent" when Sentry has accepted it, "dropped" when it never will.
Count = Callable[[str], None]

_FLUSH_SECONDS: Final = 2.0
# What a worker may send in a burst; a spent report is given back every so many seconds.
_BURST: Final = 10
_SECONDS_FOR_ONE: Final = 6.0


class Allowance:
    """How many reports may still be sent: a storm of errors must not become one of reports."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._left = float(_BURST)
        self._seen = now()

    def take(self) -> bool:
        """Whether one more may be sent."""
        now = self._now()
        self._left = min(_BURST, self._left + (now - self._seen) / _SECONDS_FOR_ONE)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Reports:
    """The worker's client of Sentry: closed until `start`, and for ever without a DSN."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._count: Count = lambda _: None
        self._allowance = Allowance()

    def preload(self, settings: Settings) -> None:
        """Import the SDK in the master, if it is wanted, so that the workers share its memory."""
        if settings.sentry_dsn:
            import service.telemetry.sentry  # noqa: F401, PLC0415 - 0.2 s and 26 MB

    def start(self, settings: Settings, count: Count) -> None:
        """Open it, in a worker: the thread that sends would not survive a fork."""
        if settings.sentry_dsn:
            from service.telemetry.sentry import client_of  # noqa: PLC0415

            self._client = client_of(settings, count)
            self._count = count

    def send(self, error: BaseException, record: Record) -> None:
        """Report an error of a request. Never raises: its reply is still to be sent."""
        if self._client is None:
            return
        if not self._allowance.take():
            self._count("dropped")
            return
        try:
            self._client.capture_event(report_of(error, record))
        except Exception as fault:  # noqa: BLE001 - logged, and the request goes on
            self._count("dropped")
            log.error("An error could not be reported: %s", fault)  # noqa: TRY400

    def stop(self) -> None:
        """Send what waits, for two seconds at most."""
        if self._client is not None:
            self._client.close(timeout=_FLUSH_SECONDS)
            self._client = None


reports: Final = Reports()
