"""One generator process: it sends the due requests of its share and counts how they end."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import gevent
from gevent.event import Event

from loadgen.common.schedule import share_of
from loadgen.load.job_follower import Get, JobFollower
from loadgen.load.shapes import Shape
from loadgen.load.stats import Completed, JobEnd, Stats
from loadgen.load.workload import RequestSpec

# How often the process measures its lateness, and how often it delivers its counts.
_PROBE_SECONDS: Final = 0.02
_DELIVER_SECONDS: Final = 0.5


class Call(NamedTuple):
    """A request that is due now, and its due time."""

    due: float
    spec: RequestSpec


class Sender:
    """The share of a schedule that one process sends.

    A free user takes the next request and waits until it is due. If all users are busy, the
    service is slow, and the wait counts as latency. If the process wakes late, the generator is
    slow, and that is counted as lateness.
    """

    def __init__(self, deliver: Callable[[Stats], None]) -> None:
        self._deliver = deliver
        self._follower: JobFollower | None = None
        self._ready = Event()
        self._shape: Shape
        self._requests: Sequence[RequestSpec] = ()
        self._due: Iterator[tuple[int, float]] = iter(())
        self._started = 0.0
        self._stats = Stats()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def begin(
        self,
        shape: Shape,
        requests: Sequence[RequestSpec],
        start: float,
        share: tuple[int, int],
        get: Get | None = None,
    ) -> None:
        """Send a share, (index, count), of a shape; `start` is a time of `time.perf_counter`.

        `get` reads from the service where the shape has jobs, which are followed to their end.
        """
        self._shape, self._requests = shape, requests
        self._due = share_of(shape.stages, *share)
        self._started = start
        # The requests never become garbage; repeated collections of them make requests late.
        gc.collect()
        gc.freeze()
        self._greenlets = [gevent.spawn(self._probe), gevent.spawn(self._report)]
        if get:
            self._follower = JobFollower(get, self._ended)
            self._greenlets.append(gevent.spawn(self._follower.run))
        self._ready.set()

    def end(self) -> None:
        """Send no further requests; deliver the counts."""
        self._ready.clear()
        self._due = iter(())
        gevent.killall(self._greenlets)
        gc.unfreeze()
        self._deliver_stats()

    def now(self) -> float:
        """Seconds since the start of the schedule."""
        return time.perf_counter() - self._started

    def wait_for_shape(self) -> Shape:
        """Wait for the start of the run; its shape."""
        self._ready.wait()
        return self._shape

    def calls(self) -> Iterator[Call]:
        """Requests for one user, each at its due time, or later if no user was free."""
        for number, due in self._due:
            self._wait(due)
            self._stats.at(due).sent += 1
            yield Call(due, self._requests[number % len(self._requests)])

    def rest(self) -> None:
        """Wait until Locust ends the user: all requests are sent."""
        Event().wait()

    def done(self, done: Completed) -> None:
        """Count a request that has ended."""
        self._stats.add(done)

    def follow(self, job: str, call: Call, accepted: float) -> None:
        """Follow a job, accepted at this second of the schedule, to its end."""
        assert self._follower  # noqa: S101 - a shape of jobs has one
        self._follower.add(job, call.due, accepted, call.spec)

    def _ended(self, job: JobEnd) -> None:
        self._stats.add_end(job)

    def _wait(self, due: float) -> None:
        while (ahead := due - self.now()) > 0:
            gevent.sleep(ahead)

    def _probe(self) -> None:
        """Measure how late the process wakes, for every tick at which it should have.

        A standstill of a second counts as fifty late ticks, the same share of the time as the
        requests that were late. Counted once, it would vanish in the percentile.
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
            self._deliver_stats()

    def _deliver_stats(self) -> None:
        stats, self._stats = self._stats, Stats()
        if stats.seconds:
            self._deliver(stats)
