"""One worker's part in a rollout: it follows the registry's aliases, together with the others.

Its phases: SERVING → LOADING → READY → SERVING when all change over. A version that can't be
served leads to REFUSED, a registry that can't be read to UNREACHABLE; both are retried. The
transitions are methods of `WorkerStatus`. What a step does depends on the order, the aliases and
the versions that are loaded: the phase is what it reports.
"""

import gc
import logging
import os
from asyncio import Task, get_running_loop, sleep
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from model import ModelRefused
from model.registry import Damaged, Refused, Registry, RegistryError
from model.scorer import Scorer
from service.rollout.loader import Loader
from service.rollout.rollout_state import Order, Phase, RolloutState, Target, WorkerStatus
from service.rollout.shadow_follower import Shadowing
from service.runtime.scoreboard import Scoreboard
from service.scoring.live import Live, Slot
from service.scoring.shadow import Shadow
from service.telemetry.failures import log_failure
from service.telemetry.metrics.models import ModelMetrics
from service.telemetry.metrics.rollout import RolloutMetrics

if TYPE_CHECKING:
    from service.decisions.recorder import Recorder

T = TypeVar("T")

# The interval at which each worker reads the rollout state while a rollout is under way.
_INTERVAL_SECONDS: Final = 0.01
# From an order to its time: all workers have read it by then.
_NOTICE_SECONDS: Final = 0.05
# How long workers that are ready wait for workers without a status, after all have read the
# aliases: these hang, or can't start.
_PATIENCE: Final = 10.0
# A version that was refused is tried again: a disk may have been full.
_AGAIN: Final = 30.0

_REST_SECONDS: Final = 1.0

log = logging.getLogger("scoring")


class Place(Struct, frozen=True):
    """Where a worker is among the others."""

    number: int
    scoreboard: Scoreboard
    rollout_state: RolloutState


class Follower:
    """Serves what all workers of this host have agreed on."""

    def __init__(  # noqa: PLR0913, PLR0917 - a worker's parts
        self,
        registry: Registry,
        loader: Loader,
        slot: Slot,
        place: Place,
        metrics: RolloutMetrics | ModelMetrics,
        poll_seconds: float,
        make_shadow: Callable[[Scorer], Shadow],
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._slot = slot
        self._place = place
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._threads = ThreadPoolExecutor(1, "follower")
        self._shadowing = Shadowing(slot, self._loaded, make_shadow, metrics.loaded)
        self._standby: dict[str, Live] = {}
        self._next_poll = self._ready_since = 0.0
        self._retry_at: dict[str, float] = {}
        self._wanted: Target | None = None
        self._task: Task[None] | None = None
        live = Target(slot.current.version, 0)
        self._status = WorkerStatus(place.number, os.getpid(), Phase.SERVING, live, monotonic())

    def catch_up(self) -> None:
        """Before the first connection: serve the version that the others serve by now.

        Raises ModelRefused or RegistryError when it can't be loaded.
        """
        order = self._place.rollout_state.order
        if order and order.target.version != self._slot.current.version:
            # Not timed: the others serve it, and what the server began with may be long past.
            scorer = self._loader.serving(order.target.version)
            former = self._slot.current
            self._slot.change(self._slot.prepare(scorer))
            self._standby[former.version] = former
        serving = order.target if order else self._status.serving
        self._publish(self._status.changed_to(serving, monotonic()))

    def start(self) -> None:
        """Follow from now on, in a task of the running loop."""
        self._task = get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - a worker goes on serving in any case
                log_failure("a swap", error)
                await sleep(_REST_SECONDS)  # the error may be raised again at each step
            await sleep(_INTERVAL_SECONDS if self._is_underway else min(self._poll_seconds, 0.1))

    @property
    def _is_underway(self) -> bool:
        order = self._place.rollout_state.order
        ordered = order is not None and order.target != self._status.serving
        return ordered or self._status.ready is not None

    async def _step(self) -> None:
        order = self._place.rollout_state.order
        if order and order.target != self._status.serving and await self._change_over(order):
            return
        if monotonic() >= self._next_poll:
            await self._poll()
        if self._wanted and self._wanted != self._status.serving:
            await self._prepare(self._wanted)
            self._propose(order)

    async def _poll(self) -> None:
        """Read the aliases."""
        self._next_poll = monotonic() + self._poll_seconds
        try:
            aliases = await self._in_thread(self._registry.aliases)
        except RegistryError as error:
            self._registry_fails(str(error))
            return
        # Readable aliases don't end this phase while a version can't be fetched.
        if not self._retry_at:
            self._publish(self._status.reachable())
        if not aliases.live:
            self._registry_fails("the registry names no live version")
            return
        self._set_wanted(Target(aliases.live, aliases.generation))
        await self._shadowing.follow(aliases.shadow)
        if self._shadowing.version != self._status.shadow:
            self._publish(replace(self._status, shadow=self._shadowing.version))

    def _set_wanted(self, target: Target) -> None:
        if target == self._wanted:
            return
        self._wanted = target
        self._retry_at.clear()
        if target == self._status.serving:
            self._publish(self._status.settled())

    async def _prepare(self, target: Target) -> None:
        """Get a version ready to be served, if possible."""
        if self._status.ready == target or self._is_retried_later(target.version):
            return
        self._publish(self._status.loading())
        if await self._make_available(target):
            self._ready_since = monotonic()
            self._publish(self._status.loaded(target))

    async def _make_available(self, target: Target) -> bool:
        """Load a version unless it is loaded. False if that fails; the status says why."""
        version = target.version
        if version == self.version or await self._is_on_standby(version):
            return True
        if self._is_retried_later(version):
            return False
        self._retry_at[version] = monotonic() + _AGAIN  # whatever prevents the load
        try:
            scorer = await self._loaded(version)
        except (ModelRefused, Damaged, Refused) as reason:
            self._refuse(target, str(reason))
        except RegistryError as error:
            self._retry_at[version] = monotonic() + self._poll_seconds
            self._registry_fails(str(error))
        else:
            self._metrics.loaded("loaded")
            self._standby[version] = self._slot.prepare(scorer)
            del self._retry_at[version]
            return True
        return False

    def _is_retried_later(self, version: str) -> bool:
        """Whether a version that could not be loaded is to be tried again later only."""
        return monotonic() < self._retry_at.get(version, 0.0)

    async def _is_on_standby(self, version: str) -> bool:
        """Whether a version is loaded and still has the same bytes in the registry."""
        live = self._standby.get(version)
        if live and not await self._in_thread(self._loader.is_current, live.scorer, version):
            del self._standby[version]
        return version in self._standby

    async def _loaded(self, version: str) -> Scorer:
        """A version's scorer, loaded in a thread. Raises as the loader.

        The version that this host serves and the one before it are not timed: a way back is open.
        """
        order = self._place.rollout_state.order
        is_proven = order is not None and version in {order.target.version, order.former}
        present = None if is_proven else self._slot.current.scorer
        return await self._in_thread(self._loader.load, version, present)

    def _refuse(self, target: Target, reason: str) -> None:
        self._retry_at[target.version] = monotonic() + _AGAIN
        self._metrics.loaded("refused")
        log.error("Version %s is refused, %s stays: %s", target.version, self.version, reason)
        self._publish(self._status.refusing(target, reason))

    @property
    def version(self) -> str:
        """The version that this worker serves."""
        return self._slot.current.version

    def _propose(self, former: Order | None) -> None:
        """Order the change once all workers are ready, or all that have a status.

        `former` is the order that was in force when this worker began to prepare.
        """
        target = self._status.ready
        if target is None or target != self._wanted:
            return
        others = [
            self._place.rollout_state.status(at) for at in self._place.scoreboard.open_places()
        ]
        if any(status and status.refused == target for status in others):
            return
        all_ready = all(status and target in (status.ready, status.serving) for status in others)
        if all_ready or monotonic() > self._ready_since + self._poll_seconds + _PATIENCE:
            order = Order(target, monotonic() + _NOTICE_SECONDS, self._version_left(target, former))
            self._place.rollout_state.set_order(order, instead_of=former)

    def _version_left(self, target: Target, former: Order | None) -> str:
        """The version that a change to the target replaces: the ordered one, loaded here or not."""
        if former is None:
            return self.version
        ordered = former.target.version
        return former.former if ordered == target.version else ordered

    async def _change_over(self, order: Order) -> bool:
        """Serve the ordered version at its time, or once it is loaded if that has passed.

        False while it can't be loaded: the aliases may name another by now.
        """
        # A version that was prepared for this order was checked then: its file is not read again.
        if self._status.ready != order.target and not await self._make_available(order.target):
            return False
        await sleep(max(0.0, order.at - monotonic()))
        former = self.version
        self._switch(order.target)
        if former != order.target.version:  # else only the shadow has changed
            await self._in_thread(self._loader.keep, order.target.version)
            self._measure_mixed(order.target)
            if self._slot.recorder:
                await self._note_override(self._slot.recorder, order.target)
        return True

    async def _note_override(self, recorder: "Recorder", target: Target) -> None:
        """Keep with the decisions that the version serves against a refusal, if it does."""
        try:
            history = await self._in_thread(self._registry.history)
        except RegistryError as error:
            log_failure("the history of the registry", error)
            return
        for change in history:
            if change.forced and change.aliases.generation == target.generation:
                recorder.note(
                    "override",
                    version=target.version,
                    what=change.what,
                    who=change.who,
                    reason=change.forced,
                )

    def _switch(self, target: Target) -> None:
        old = self._slot.current
        if old.version != target.version:
            self._slot.change(self._standby.pop(target.version))
            # The replaced version stays warm, for a way back; older ones go.
            gone, self._standby = self._standby, {old.version: old}
            if gone:  # they are held by cycles; what is older than this process is frozen
                gone.clear()
                gc.collect()
            log.info("Version %s serves instead of %s", target.version, old.version)
        # The wanted version may have been replaced meanwhile: the next poll shows it.
        self._wanted = target
        self._retry_at.clear()
        self._publish(self._status.changed_to(target, monotonic()))

    def _measure_mixed(self, target: Target) -> None:
        statuses = [
            self._place.rollout_state.status(at) for at in self._place.scoreboard.open_places()
        ]
        # In a stop, no worker has a place that is open.
        if statuses and all(status and status.serving == target for status in statuses):
            since = [status.since for status in statuses if status]
            self._metrics.mixed(max(since) - min(since))

    def _registry_fails(self, reason: str) -> None:
        if reason != self._status.reason:
            log.warning("The model registry can't be used now, %s stays: %s", self.version, reason)
        self._publish(self._status.unreachable(reason))

    def _publish(self, status: WorkerStatus) -> None:
        if status is self._status:
            return
        self._status = status
        self._place.rollout_state.set_status(self._place.number, self._status)
        worker = str(self._place.number)
        self._metrics.registry_up(worker, up=self._status.state != Phase.UNREACHABLE)
        self._metrics.live_refused(worker, refused=self._status.refused is not None)
        self._metrics.serving(worker, self._status.serving.generation)
        if recorder := self._slot.recorder:
            recorder.generation = self._status.serving.generation

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await get_running_loop().run_in_executor(self._threads, function, *arguments)
