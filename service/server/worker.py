"""The gunicorn worker: one process, one event loop, one operating-system thread for all clients."""

import os
import signal
import socket
from asyncio import AbstractEventLoop, Event, Runner, get_running_loop, sleep
from functools import partial
from math import inf
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from gunicorn.workers.base import Worker

from service.http.request_ids import new_id
from service.runtime import runtime
from service.server.acceptor import IDLE_SECONDS, Acceptor, FairAcceptor
from service.server.site import Patience, Site
from service.telemetry.failures import contained, report
from service.telemetry.record import Record

try:
    from uvloop import new_event_loop
except ImportError:  # where there is none for the platform: about 2 µs more for each request
    from asyncio import new_event_loop  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    Queue: TypeAlias = SimpleQueue[int]
    Publish: TypeAlias = Callable[[Iterable[socket.socket], int], None]

# How long a head may take to come, and a whole body; a body once the server is to stop.
_HEAD_SECONDS: Final = 20.0
_BODY_SECONDS: Final = 20.0
_LAST_BODY_SECONDS: Final = 5.0
# The metrics address has few places, and none is needed for long.
_METRICS_PLACES: Final = 16
_METRICS_IDLE_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 1.0
_LAST_TICK_SECONDS: Final = 0.1


class ScoringWorker(Worker):  # type: ignore[misc]
    """Serves the sites of its app until it is to stop, then lets what is in flight end.

    `place` is this worker's place on the scoreboard. It is taken here, in the master, before the
    fork; the hook `child_exit` gives it back.
    """

    def __init__(
        self, *args: Any, lent: bool = False, early_signals: "Queue | None" = None
    ) -> None:
        """`lent` is whether the listening sockets belong to a process that keeps them open.

        `early_signals` holds the signals that came before this worker had handlers of its own: the
        master's handlers, which it was forked with, put them into a copy of the master's queue.
        """
        super().__init__(*args)
        self._scoreboard = runtime().scoreboard
        self.place = self._scoreboard.take()
        self.early_signals: Queue = early_signals or SimpleQueue()
        self._begin: Callable[[], None] = lambda: None
        self.publish: Publish = lambda *_: None
        self._lent = lent
        self._acceptors: list[Acceptor] = []
        self._stop_signalled = Event()
        self._stop_began = inf
        self._may_linger = True

    def prepare(self, begin: "Callable[[], None]", publish: "Publish") -> None:
        """Set what the worker does for its app in addition to serving.

        `begin` is called in the loop before the first connection, `publish` once a second, with the
        listening sockets and the number of requests in flight.
        """
        self._begin, self.publish = begin, publish

    def run(self) -> None:
        """Serve until a signal stops the worker."""
        with Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = get_running_loop()
        loop.set_exception_handler(_report_uncaught)
        self._handle_signals(loop)
        self._begin()
        for listener in self.sockets:
            self._listen(loop, listener.sock)
        self._tick()
        if self.alive:
            await self._stop_signalled.wait()
        await self._end()

    def _listen(self, loop: AbstractEventLoop, listener: socket.socket) -> None:
        site = self._site(listener.getsockname())
        acceptor: Acceptor
        if site.is_public:
            places: int = self.cfg.worker_connections
            shared: dict[str, Any] = {
                "scoreboard": self._scoreboard,
                "own": self.place,
                "lent": self._lent,
            }
            acceptor = FairAcceptor(loop, listener, site, places, **shared)
        else:  # few, and not among those of callers: they are let in when all places are taken
            acceptor = Acceptor(loop, listener, site, _METRICS_PLACES)
        self._acceptors.append(acceptor)
        acceptor.start()

    def _site(self, address: Any) -> Site:
        """What is served at a listening address."""
        site: Site = self.wsgi.site(address, self.log.answered)
        return site

    # Once a second.

    def _tick(self) -> None:
        """What is done once a second. None of it may end the worker."""
        loop = get_running_loop()
        loop.call_later(_TICK_SECONDS if self.alive else _LAST_TICK_SECONDS, self._tick)
        contained("heartbeat", self.notify)
        contained("master", self._check_master)
        contained("connections", self._check_connections)
        self._publish()

    def _check_master(self) -> None:
        if os.getppid() != self.ppid and not self._stop_signalled.is_set():
            self.log.warning("The master is gone: this worker stops")
            self._stop()

    def _check_connections(self) -> None:
        """End what takes too long.

        Once a stop begins, every idle connection stays open for a moment, however long it has been
        idle: its client may just be sending a request, which is still answered, with
        `Connection: close`.
        """
        now = monotonic()
        body = _BODY_SECONDS if self.alive else _LAST_BODY_SECONDS
        moment_is_over = now - self._stop_began > IDLE_SECONDS
        for acceptor in self._acceptors:
            in_the_way = acceptor.is_full or moment_is_over
            keepalive = self.cfg.keepalive if acceptor.site.is_public else _METRICS_IDLE_SECONDS
            idle = IDLE_SECONDS if in_the_way else float(keepalive)
            acceptor.site.check(now, Patience(idle, min(idle, _HEAD_SECONDS), body))
            acceptor.publish()

    def _publish(self) -> None:
        sites = [acceptor.site for acceptor in self._acceptors]
        in_flight = sum(site.in_flight for site in sites if site.is_public)
        self.publish([acceptor.listener for acceptor in self._acceptors if self.alive], in_flight)

    # The end.

    async def _end(self) -> None:
        """Take no more connections, and wait for those that are open, but not for ever."""
        self._scoreboard.close(self.place)
        for acceptor in self._acceptors:
            acceptor.close()
        latest = monotonic() + self.cfg.graceful_timeout
        while self._may_linger and self._is_connected and monotonic() < latest:  # noqa: ASYNC110
            await sleep(_LAST_TICK_SECONDS / 2)
        for acceptor in self._acceptors:
            acceptor.site.abort()
        await sleep(0)

    @property
    def _is_connected(self) -> bool:
        return any(acceptor.connections for acceptor in self._acceptors)

    def _stop(self, *, at_once: bool = False) -> None:
        self._stop_began = min(self._stop_began, monotonic())
        self.alive = False
        self._may_linger = self._may_linger and not at_once
        for acceptor in self._acceptors:
            acceptor.site.stops = True
        self._stop_signalled.set()

    # Signals.

    def _handle_signals(self, loop: AbstractEventLoop) -> None:
        """In the loop: a handler of Python's own could come in the middle of anything."""
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        for number in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, partial(self._stop, at_once=True))
        loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)

    def handle_abort(self, sig: int, frame: object) -> None:
        """The master finds that this worker stands still: it ends at once, whatever it is at.

        gunicorn's own way is an exception, which the event loop would take for a failed callback.
        """
        del sig, frame
        self.cfg.worker_abort(self)
        os._exit(1)


def _report_uncaught(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that nothing caught: asyncio's own way prints its text."""
    del loop
    error = context.get("exception")
    if error is not None:
        report(error, Record(new_id()))
    if error is not None and not isinstance(error, Exception):
        os._exit(1)  # an exit that a callback raised
