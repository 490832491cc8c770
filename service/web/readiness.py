"""GET /readyz of the web processes: whether what keeps jobs can be reached."""

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final

from service.http import reply
from service.http.reply import Reply
from service.jobs.queues import QueueUnavailable
from service.jobs.records import RecordsUnavailable
from service.runtime.scoreboard import Scoreboard

# Anybody may ask, so records and queue are asked once in so many seconds at most.
_LOOK_SECONDS: Final = 0.5
NO_RECORDS: Final = "the records of jobs can't be reached"
NO_QUEUE: Final = "the broker of jobs can't be reached, or takes no messages: see its alarms"


class Readiness:
    """Says why jobs can't be taken, for half a second what was found last."""

    def __init__(self, ping: Callable[[], None], scoreboard: Scoreboard) -> None:
        """`ping` raises RecordsUnavailable or QueueUnavailable."""
        self._ping = ping
        self._scoreboard = scoreboard
        self._lock = Lock()
        self._looked = float("-inf")
        self._found = ""

    def __call__(self) -> Reply:
        """The reply."""
        if self._scoreboard.stopping:
            return reply.fail(503, "the server is about to stop")
        reason = self._reason()
        return reply.fail(503, reason) if reason else reply.ok("ready")

    def _reason(self) -> str:
        with self._lock:
            if monotonic() - self._looked > _LOOK_SECONDS:
                self._found = self._look()
                self._looked = monotonic()
            return self._found

    def _look(self) -> str:
        try:
            self._ping()
        except RecordsUnavailable:
            return NO_RECORDS
        except QueueUnavailable:
            return NO_QUEUE
        return ""
