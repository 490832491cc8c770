"""One generator process: it hands out what is due, and counts what comes of it."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import gevent
from gevent.event import Event

from loadgen.common.schedule import share_of
from loadgen.load.shapes import Shape
from loadgen.load.stats import Completed, Stats
from loadgen.load.workload import RequestSpec

# How often the process looks how late it wakes, and how often it delivers what it has counted.
_PROBE_SECONDS: Final = 0.02
_DELIVER_SECONDS: Final = 0.5


class Call(NamedTuple):
    """A request that is due now: when it was due, and what it is."""

    due: float
    spec: RequestSpec


class Sender:
    """The share of a schedule that one process sends.

    Its users take the next due request whenever they are free, and wait until it is due. That
    they are all busy is the service's doing and goes into the latency; that the process wakes
    late is the generator's, and is counted apart.
    """

    def __init__(self, deliver: Callable[[Stats], None]) -> None:
        self._deliver = deliver
        self._ready = Event()
        self._shape: Shape
        self._deck: Sequence[RequestSpec] = ()
        self._tickets: Iterator[tuple[int, float]] = iter(())
        self._started = 0.0
        self._stats = Stats()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def begin(
        self, shape: Shape, requests: Sequence[RequestSpec], start: float, share: tuple[int, int]
    ) -> None:
        """Send one of so many shares of a shape, from a moment of `time.perf_counter` on."""
        self._shape, self._deck = shape, requests
        self._tickets = share_of(shape.stages, *share)
        self._started = start
        # The requests never become garbage; repeated collections of them make requests late.
        gc.collect()
        gc.freeze()
        self._greenlets = [gevent.spawn(self._probe), gevent.spawn(self._report)]
        self._ready.set()

    def end(self) -> None:
        """Stop handing out; deliver what is counted."""
        self._ready.clear()
        self._tickets = iter(())
        gevent.killall(self._greenlets)
        gc.unfreeze()
        self._hand_over()

    def now(self) -> float:
        """Seconds since the schedule began."""
        return time.perf_counter() - self._started

    def begun(self) -> Shape:
        """The shape of the run, when it has begun; until then the calling user waits."""
        self._ready.wait()
        return self._shape

    def calls(self) -> Iterator[Call]:
        """Requests for one user, each at the time that it is due, or later if there was no user."""
        for number, due in self._tickets:
            self._wait(due)
            self._stats.at(due).sent += 1
            yield Call(due, self._deck[number % len(self._deck)])

    def rest(self) -> None:
        """Wait until Locust ends the user: there is nothing more to send."""
        Event().wait()

    def done(self, done: Completed) -> None:
        """Count a request that came to its end."""
        self._stats.add(done)

    def _wait(self, due: float) -> None:
        while (ahead := due - self.now()) > 0:
            gevent.sleep(ahead)

    def _probe(self) -> None:
        """How late the process wakes, for every moment at which it should have.

        One that stood still for a second missed fifty of them: a share of the time, as what it
        should have sent meanwhile is a share of the requests. Counted once, it would vanish.
        """
        wanted = max(0.0, self.now())
        while True:
            self._wait(wanted)
            now = self.now()
            while wanted <= now:
                self._stats.at(wanted).late.add(now - wanted)
                wanted += _PROBE_SECONDS

    def _report(self) -> None:
        used, at = time.process_time(), time.perf_counter()
        while True:
            gevent.sleep(_DELIVER_SECONDS)
            spent, passed = time.process_time() - used, time.perf_counter() - at
            used, at = used + spent, at + passed
            if self.now() >= 0:
                second = self._stats.at(self.now())
                second.cpu = max(second.cpu, spent / passed)
            self._hand_over()

    def _hand_over(self) -> None:
        stats, self._stats = self._stats, Stats()
        if stats.seconds:
            self._deliver(stats)
