"""Sends the events of the outbox to their endpoints, each until it is taken or given up.

An endpoint that does not answer holds few of the senders, and is then left alone for a while: the
messages to others never wait for it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from random import uniform
from threading import Lock
from time import monotonic
from typing import Final

from msgspec import Struct

from service.jobs.records import Event, Records, RecordsUnavailable
from service.jobs.webhooks import Endpoints, Post, deliver
from service.outbound import request
from service.outbound.addresses import NotAllowed
from service.outbound.request import Unreachable
from service.telemetry.failures import contained

# Seconds from an attempt that failed to the next, by the specification; after the last, none.
SCHEDULE: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER: Final = 0.2
# An event belongs to its sender for longer than an attempt takes.
_LEASE_SECONDS: Final = 60.0
# No event is due later: otherwise the clock went back.
_LONGEST_WAIT: Final = SCHEDULE[-1] * (1 + _JITTER) + _LEASE_SECONDS
# How many messages are sent at a time, in all and to one endpoint.
_SENDERS: Final = 16
_OF_ENDPOINT: Final = 2
# After so long a sender turns to the next endpoint.
_TURN_SECONDS: Final = 1.0
# How long an endpoint is left alone that could not be reached; it doubles with each time.
FIRST_PAUSE: Final = 5.0
GREATEST_PAUSE: Final = 300.0
# An event that is overdue by so much, since its endpoint can't be reached, is given up.
_LONGEST: Final = 3 * 86_400.0
# The endpoint asks for no more messages.
_GONE: Final = 410
_OUT_OF_REACH: Final = "it can't be reached"

log = logging.getLogger("scoring")


class Sender:
    """Sends what is due, in threads of its own."""

    def __init__(
        self,
        records: Records,
        endpoints: Endpoints,
        now: Callable[[], float],
        count: Callable[[str, float], None],
        post: Post = request.post,
    ) -> None:
        """`count` gets the result of each attempt, sent, failed or dead, and the event's age."""
        self._records = records
        self._endpoints = endpoints
        self._now = now
        self._count = count
        self._post = post
        self._traffic = _Traffic()
        self._threads = ThreadPoolExecutor(_SENDERS, "webhooks")
        self._ends = False

    def send_due(self) -> Sequence["Future[None]"]:
        """Begin to send what is due, without waiting for any endpoint; what was begun.

        Raises RecordsUnavailable.
        """
        begun = []
        for endpoint, due in self._records.owed().items():
            for _ in range(_OF_ENDPOINT):
                latest, later = self._bounds(endpoint)
                if not latest < due <= later and self._traffic.begin(endpoint):
                    turn = self._threads.submit(contained, "webhooks", self._turn, endpoint)
                    begun.append(turn)
        return begun

    def close(self) -> None:
        """Let attempts end that are under way."""
        self._ends = True
        self._threads.shutdown(cancel_futures=True)

    def _turn(self, endpoint: str) -> None:
        """Send to an endpoint what is due, one by one, until others have their turn."""
        latest = monotonic() + _TURN_SECONDS
        try:
            while not self._ends and (event := self._next(endpoint)):
                self._send(event)
                if monotonic() > latest:
                    return
        except RecordsUnavailable:
            return  # the next look finds what was not taken
        finally:
            self._traffic.end(endpoint)

    def _bounds(self, endpoint: str) -> tuple[float, float]:
        """By when an event must have been due that is taken now, and after when no event can be."""
        now = self._now()
        if self._traffic.is_paused(endpoint, now):
            return now - _LONGEST, inf
        return now, now + _LONGEST_WAIT

    def _next(self, endpoint: str) -> Event | None:
        latest, later = self._bounds(endpoint)
        until = self._now() + _LEASE_SECONDS
        return self._records.take_event(endpoint, latest, until, later)

    def _send(self, event: Event) -> None:
        result, error = self._attempt(event)
        try:
            if result == "sent":
                self._records.sent(event)
            else:
                self._records.unsent(event, self._again(event), error, dead=result == "dead")
        except RecordsUnavailable:
            return  # its lease ends, and it is sent again, with the same id
        self._count(result, self._now() - event.created)

    def _attempt(self, event: Event) -> tuple[str, str]:
        """The result of an attempt, `sent`, `failed` or `dead`, and why."""
        endpoint, now = self._endpoints.of(event.owner, event.webhook), self._now()
        if endpoint is None:
            return "dead", "the endpoint is not registered any more"
        if event.due < now - _LONGEST and self._traffic.is_paused(event.endpoint, now):
            return "dead", _OUT_OF_REACH
        last = event.attempts >= len(SCHEDULE)
        try:
            status = deliver(endpoint, event, now, self._endpoints.allowed, self._post)
        except (Unreachable, NotAllowed) as reason:
            log.warning("Webhook %s of %s failed: %s", endpoint.name, endpoint.owner, reason)
            self._traffic.unreached(event.endpoint, self._now())
            return "dead" if last else "failed", _OUT_OF_REACH
        self._traffic.reached(event.endpoint)
        if 200 <= status < 300:
            return "sent", ""
        return "dead" if last or status == _GONE else "failed", f"it answered {status}"

    def _again(self, event: Event) -> float:
        wait = SCHEDULE[min(event.attempts, len(SCHEDULE) - 1)]
        return self._now() + wait * uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


class _Pause(Struct, frozen=True):
    """How long an endpoint is left alone, and until when."""

    seconds: float
    until: float

    def lasts(self, now: float) -> bool:
        """Whether it is not over; before its own beginning it is, for the clock went back."""
        return self.until - self.seconds - 1 < now < self.until


class _Traffic:
    """How many senders each endpoint has, and which are left alone. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: Counter[str] = Counter()
        self._pauses: dict[str, _Pause] = {}

    def begin(self, endpoint: str) -> bool:
        """Take a sender for an endpoint, unless it has enough: one if it was not reached last."""
        with self._lock:
            most = 1 if endpoint in self._pauses else _OF_ENDPOINT
            is_free = self._under_way[endpoint] < most
            self._under_way[endpoint] += is_free
            return is_free

    def end(self, endpoint: str) -> None:
        """Give the sender back."""
        with self._lock:
            self._under_way[endpoint] -= 1

    def is_paused(self, endpoint: str, now: float) -> bool:
        """Whether an endpoint is to be left alone now."""
        with self._lock:
            pause = self._pauses.get(endpoint)
            return pause is not None and pause.lasts(now)

    def reached(self, endpoint: str) -> None:
        """Note that an endpoint has answered."""
        with self._lock:
            self._pauses.pop(endpoint, None)

    def unreached(self, endpoint: str, now: float) -> None:
        """Leave an endpoint alone, for longer each time; what fails together counts once."""
        with self._lock:
            last = self._pauses.get(endpoint)
            if last is None or not last.lasts(now):
                seconds = min(2 * last.seconds, GREATEST_PAUSE) if last else FIRST_PAUSE
                self._pauses[endpoint] = _Pause(seconds, now + seconds)
