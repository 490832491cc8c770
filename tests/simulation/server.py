"""The server under simulation: the real worker, site, endpoints, admission, batcher and follower.

Not real are a worker's edges: sockets, signals, threads, the registry, and what the model predicts.
Some limits are smaller than in production, so that a few requests reach them.
"""

import gc
import logging
import os
import signal
from asyncio import Task, all_tasks, get_running_loop
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from unittest.mock import patch

from model.regno import MODEL, Row
from model.scorer import Score
from service import endpoints
from service.app import App, Parts, create_app, scoring_service
from service.http.api_keys import ApiKeys
from service.overload.admission import Admission
from service.rollout.follower import Follower, Place
from service.rollout.rollout_state import RolloutState
from service.routes.explain import ExplainRoute
from service.routes.inference import InferenceRoute
from service.routes.score import ScoreRoute
from service.runtime.scoreboard import Scoreboard
from service.scoring.batching import Batcher, Waiting
from service.scoring.core import decisions_of
from service.scoring.live import Live, Slot
from service.scoring.shadow import Shadow
from service.server.connection import Connection
from service.server.request import Request
from service.server.site import Budget, Site
from service.server.worker import ScoringWorker
from service.telemetry.failures import contained
from service.telemetry.metrics import Metrics
from tests.simulation import clocks
from tests.simulation.audit import Audit
from tests.simulation.model import VERSIONS, Loader, Registry, scorers
from tests.simulation.network import Network, Socket
from tests.simulation.requests import SETTINGS

if TYPE_CHECKING:
    from tests.simulation.dialogue import Dialogue

# Connections that a worker takes.
PLACES: Final = 10
BATCH: Final = 2
# Module, name and value of what is smaller here than in production.
_SMALLER: Final = (
    ("service.overload.admission", "BATCH", BATCH),
    ("service.scoring.batching", "BATCH", BATCH),
    ("service.scoring.core", "STEP_ROWS", 4),
    ("service.scoring.core", "LAST_STEP_ROWS", 4),
    ("model.regno.scorer.RegnoScorer", "table_rows", 4),
    ("service.scoring.core", "_STEP_DETAILS", 2),
    ("service.server.site", "_MOST_UNSENT", 300_000),
    ("service.server.site", "_MOST_UNSENT_FOR_PAGES", 100_000),
    ("service.server.site", "_STEP", 2048),
    ("model.request_decoder", "SLICE_BYTES", 4096),
)
_PLANNED: Final = frozenset(("Poisoned",))


class Server:
    """One worker with all that it serves."""

    def __init__(self, number: int, audit: Audit, network: Network, shared: "Shared") -> None:
        self.number = number
        self.open: list[Dialogue] = []
        self.swaps: list[tuple[float, str]] = []
        self.stopped = False
        self._audit = audit
        self._network = network
        self._listening = network.listen()
        self.admission = _Admission(audit)
        self.slot = _Slot(self, _metrics(), self.admission)
        with patch.object(endpoints, "Budget", self._budget):
            self.site = self._made_site(shared)
        self._evict = self.site.evict
        self.site.evict = self._count_evicted  # type: ignore[method-assign]
        with patch("service.server.worker.runtime", lambda: shared):
            self._worker = ScoringWorker(*self._arguments())
        self._worker.wsgi = SimpleNamespace(site=lambda *_: self.site)
        place = Place(self._worker.place, shared.scoreboard, shared.rollout_state)
        parts = cast("Any", shared.registry), cast("Any", Loader), self.slot, place
        poll = SETTINGS.registry_poll_seconds
        self._follower = Follower(*parts, _metrics().rollout, poll, self._shadow)
        self._worker.prepare(self._begin, lambda *_: None)
        self._followers: set[Task[Any]] = set()
        self._task: Task[None] | None = None

    def _budget(self, limit: int) -> Budget:
        self.budget = Budget(limit)
        return self.budget

    def _arguments(self) -> tuple[Any, ...]:
        """Those that gunicorn gives its workers."""
        log = SimpleNamespace(answered=None, reopen_files=lambda: None)
        cfg = SimpleNamespace(
            keepalive=SETTINGS.keepalive,
            graceful_timeout=SETTINGS.graceful_timeout,
            worker_connections=PLACES,
            max_requests=0,
        )
        return 0, os.getppid(), [self._listening], None, 30, cfg, log

    def _made_site(self, shared: "Shared") -> Site:
        settings, keys, metrics = SETTINGS, _keys(), _metrics()
        parts = Parts(
            *(settings, keys, metrics, self.admission, self.slot),
            *(shared.scoreboard, shared.rollout_state),
        )
        flask, stands_for = _flask(self.number)
        stands_for(parts)
        (served,) = parts.served
        route = ScoreRoute(served.model, scoring_service(served, parts), settings)
        explain = ExplainRoute(MODEL, self.slot, settings, metrics, self.admission)
        inference = InferenceRoute((route,), settings, shared.scoreboard)
        app = App(flask, (route,), (explain,), inference)
        return endpoints.public_site(app, parts, self._answered)

    def _count_evicted(self, idle_since: float) -> bool:
        is_evicted = self._evict(idle_since)
        self._audit.counts["end: an eviction"] += is_evicted
        return is_evicted

    def _answered(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self._audit.answered(request.record.request_id, request.record.seconds)

    def _shadow(self, scorer: Any) -> Shadow:
        version, busy = lambda: self.slot.current.version, lambda: self.admission.crowded
        metrics = _metrics().shadow
        return Shadow(scorer, SETTINGS, metrics, live_version=version, busy=busy)

    def _begin(self) -> None:
        before = all_tasks()
        self._follower.start()
        self._followers = all_tasks() - before

    def start(self) -> Task[None]:
        """Serve, in a task, until a signal ends it."""
        self.slot.warm_up()
        self._follower.catch_up()
        self._task = get_running_loop().create_task(self._serve())
        return self._task

    async def _serve(self) -> None:
        await self._worker._serve()
        self._audit.note(f"worker {self.number} has ended")
        self._check_end()
        self._worker._tick = lambda: None  # type: ignore[method-assign]  # its loop has ended
        for task in self._followers:  # as the loop's runner does
            task.cancel()

    def _check_end(self) -> None:
        """What the worker leaves open when it ends, the kernel closes."""
        for socket in self._listening.left():
            if not self._audit.was_hurried:
                self._audit.breaks(f"worker {self.number} leaves {socket.name} open")
            socket.abort()

    def stop(self, number: int) -> None:
        """Send the worker a signal."""
        self._audit.note(f"worker {self.number} gets {signal.Signals(number).name}")
        self._network.signal(self._task, number, self._stopped)

    def _stopped(self) -> None:
        in_flight = sum(dialogue.is_busy for dialogue in self.open)
        self._audit.note(f"worker {self.number} stops with {in_flight} requests in flight")
        if in_flight:
            self._audit.counts["a stop with requests in flight"] += 1
        self.stopped = True

    @property
    def is_full(self) -> bool:
        """Whether all its places are taken, or it takes no more connections."""
        return self._listening.connections >= PLACES or not self._listening.is_open

    @staticmethod
    def waits_for(socket: Socket) -> int:
        """What the connection of a socket waits for, as it says."""
        connection = socket.get_protocol()
        return connection.waits_for if isinstance(connection, Connection) else -1

    # The rules.

    def check(self) -> None:
        """After each step: what is counted is right."""
        waiting, rows = self.admission.waiting, self.admission.rows
        if waiting != rows:
            self._audit.breaks(f"worker {self.number} counts {waiting} waiting rows of {rows}")
        if self.budget.held < 0:
            self._audit.breaks(f"worker {self.number} holds {self.budget.held} bytes of bodies")

    def check_waiting(self) -> None:
        """Check, when nothing more happens before time goes on, that no request waits in vain."""
        if self.admission.waiting:
            self._audit.breaks(f"worker {self.number} lets rows wait for no batch")
        for dialogue in self.open:
            dialogue.check_waiting()
        if self.budget.held and not self._network.jobs and not any(d.is_busy for d in self.open):
            self._audit.breaks(f"worker {self.number} holds bytes of no body")
        if self.site.unsent and not any(d.socket and d.socket.is_stuffed for d in self.open):
            self._audit.breaks(f"worker {self.number} counts bytes that are not unsent")

    def finish(self) -> None:
        """When all is over: nothing is left."""
        left = {
            "connections": len(self.site.connections),
            "requests in flight": self.site.in_flight,
            "waiting rows": self.admission.waiting,
            "bytes of bodies": self.budget.held,
            "unsent bytes": self.site.unsent,
            "arrays": int(self.admission.crowded),
        }
        for what, size in left.items():
            if size:
                self._audit.breaks(f"worker {self.number} has {size} {what} left")


class Shared:
    """What all workers have in common."""

    def __init__(self) -> None:
        self.scoreboard = Scoreboard(2)
        self.registry = Registry()
        self._memory = os.memfd_create("simulation")
        self.rollout_state = RolloutState(self._memory)

    def close(self) -> None:
        """Free the memory."""
        os.close(self._memory)


class _Slot(Slot):
    """Notes each swap."""

    def __init__(self, server: Server, metrics: Metrics, admission: Admission) -> None:
        super().__init__(scorers()[VERSIONS[0]], metrics, admission)
        self._server = server

    def change(self, live: Live) -> None:
        super().change(live)
        audit, server = self._server._audit, self._server
        audit.note(f"worker {server.number} serves {live.version}", "a swap")
        if any(dialogue.is_busy for dialogue in server.open):
            audit.counts["a swap with requests in flight"] += 1
        server.swaps.append((audit.now, live.version))


class _Admission(Admission):
    """Counts for itself the rows that wait."""

    def __init__(self, audit: Audit) -> None:
        super().__init__(SETTINGS, lambda reason: audit.counts.update([f"shed: {reason}"]))
        self.audit = audit
        self.rows = 0
        self.turn = 0.0  # when the last array had its turn

    @asynccontextmanager
    async def array(self, size: int, latest: float) -> AsyncIterator[None]:
        async with super().array(size, latest):
            self.turn = self.audit.now
            yield


class _Batcher(Batcher):
    """Sees to it that each row gets one outcome."""

    def __init__(self, scorer: Any, admission: Any, counted: Any) -> None:
        super().__init__(scorer, admission, counted)
        self._watched: _Admission = admission

    def add(self, waiting: Waiting) -> None:
        self._watched.rows += 1
        if self._watched.rows > BATCH:
            self._watched.audit.counts["a row beyond the next batch"] += 1
        super().add(_Watched(waiting, self._watched))


class _Watched:
    def __init__(self, waiting: Waiting, admission: _Admission) -> None:
        self.row: Row = waiting.row
        self.latest = waiting.latest
        self._waiting = waiting
        self._admission = admission
        self._has_outcome = False

    def scored(self, score: Score, began: float, ended: float) -> None:
        self._end()
        self._waiting.scored(score, began, ended)

    def failed(self, error: Exception) -> None:
        self._end()
        self._waiting.failed(error)

    def too_late(self) -> None:
        self._admission.audit.counts["a row that is too late for its batch"] += 1
        self._end()
        self._waiting.too_late()

    def _end(self) -> None:
        if self._has_outcome:
            self._admission.audit.breaks("a row has two outcomes")
        self._has_outcome = True
        self._admission.rows -= 1


class _Connection(Connection):
    """Has a hash by its number, so that sets of connections have the same order each time."""

    made = 0

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        _Connection.made += 1
        self._number = _Connection.made
        self._served_at = site

    def connection_made(self, transport: Any) -> None:
        servers = LOG.audit.servers if LOG.audit is not None else []
        server = next(server for server in servers if server.site is self._served_at)
        transport.watcher.accepted(server, transport)
        super().connection_made(transport)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Heartbeat:
    """Instead of the file that the master looks at."""

    def __init__(self, *_: object) -> None:
        pass

    def notify(self) -> None:
        pass


class _Timer:
    """Instead of a thread that ends an idle explainer."""

    daemon = True

    def __init__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        pass


class _StandIn:
    """Stands for a part of another schedule each time: a Flask app takes long to make."""

    real: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@cache
def _flask(number: int) -> tuple[Any, Any]:
    """The Flask app of a worker, and what makes its parts stand for others."""
    del number
    stand_ins = {name: _StandIn() for name in ("admission", "slot", "scoreboard", "rollout_state")}
    parts = Parts(SETTINGS, _keys(), _metrics(), **cast("dict[str, Any]", stand_ins))
    app = create_app(parts).flask

    def stand_for(parts: Parts) -> None:
        for name, stand_in in stand_ins.items():
            stand_in.real = getattr(parts, name)

    return app, stand_for


@cache
def _metrics() -> Metrics:
    return Metrics((), MODEL, decisions_of(MODEL, SETTINGS), kept=False)


@cache
def _keys() -> ApiKeys:
    return ApiKeys(SETTINGS)


class _Log(logging.Handler):
    """The log of the schedule that runs: an internal error that is not planned breaks a rule."""

    audit: Audit | None = None

    def fails(self, part: str) -> None:
        """Background work fails: it is logged once in a minute of all schedules."""
        if self.audit is not None:
            self.audit.breaks(f"background work fails in the part {part}")

    def emit(self, record: logging.LogRecord) -> None:
        if self.audit is None:
            return
        text = record.getMessage()
        if record.levelno >= logging.ERROR and record.args and "Internal error" in text:
            kind = record.args[0] if isinstance(record.args, tuple) else ""
            if kind not in _PLANNED:
                self.audit.breaks(text)
        self.audit.note(f"log: {text}", f"log: {record.msg}")


LOG: Final = _Log()


@contextmanager
def simulated() -> Iterator[None]:
    """Have the core run in simulation: its clocks, its limits, and what watches it."""
    log = logging.getLogger("scoring")
    changes: dict[str, Any] = {
        "propagate": False,
        "handlers": [LOG],
        "level": logging.INFO,
        "disabled": False,
    }
    with ExitStack() as stack:
        stack.enter_context(clocks.simulated())
        for module, name, value in _SMALLER:
            stack.enter_context(patch(f"{module}.{name}", value))
        stack.enter_context(patch("service.server.acceptor.Connection", _Connection))
        stack.enter_context(patch("service.scoring.live.Batcher", _Batcher))
        stack.enter_context(patch("service.scoring.explanations.Timer", _Timer))
        stack.enter_context(patch("gunicorn.workers.base.WorkerTmp", _Heartbeat))
        stack.enter_context(patch.object(contained, "_count", LOG.fails))
        stack.enter_context(
            patch("service.rollout.follower.gc", SimpleNamespace(collect=lambda: 0))
        )
        for name, value in changes.items():
            stack.enter_context(patch.object(log, name, value))
        scorers()
        gc.collect()
        gc.freeze()  # else each collection looks at all of CatBoost and pandas
        stack.callback(gc.unfreeze)
        yield


def begin(audit: Audit) -> None:
    """Begin a schedule."""
    LOG.audit = audit
    _Connection.made = 0


def end() -> None:
    """End it, however it went: what is cleaned up later belongs to no other one."""
    LOG.audit = None
    get_running_loop().set_exception_handler(lambda *_: None)
