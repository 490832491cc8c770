"""One worker's part in a swap: it follows the registry's aliases, together with the others."""

import gc
import logging
import os
from asyncio import Task, get_running_loop, sleep
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from model import ModelRefused
from model.registry import Damaged, Refused, Registry, RegistryError
from model.scorer import Scorer
from service.process.scoreboard import Scoreboard
from service.rollout.loader import Loader
from service.rollout.rollout_state import Note, Order, RolloutState, Target
from service.rollout.shadow_follower import Shadowing
from service.scoring.live import Live, Slot
from service.scoring.shadow import Shadow
from service.server.threads import run_in_thread
from service.telemetry.failures import log_failure
from service.telemetry.metrics.models import ModelMetrics
from service.telemetry.metrics.rollout import RolloutMetrics

T = TypeVar("T")

# While a swap is under way, so often each worker reads the rollout state.
_LOOK_SECONDS: Final = 0.01
# From an order to its moment: all have seen it by then.
_NOTICE_SECONDS: Final = 0.05
# Who is ready waits so long, after all have looked at the aliases, for workers that say nothing:
# they hang, or can't start.
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
        self._note = Note(place.number, os.getpid(), "serving", live, monotonic())

    def catch_up(self) -> None:
        """Before the first connection: serve what the others serve by now.

        Raises ModelRefused or RegistryError when that can't be had.
        """
        order = self._place.rollout_state.order
        if order and order.target.version != self._slot.current.version:
            # Not timed: the others serve it, and what the server began with may be long past.
            scorer = self._loader.serving(order.target.version)
            former = self._slot.current
            self._slot.change(self._slot.prepare(scorer))
            self._standby[former.version] = former
        self._tell(serving=order.target if order else self._note.serving, since=monotonic())

    def start(self) -> None:
        """Follow from now on, in a task of the running loop."""
        self._task = get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - whatever happens, it goes on serving
                log_failure("a swap", error)
                await sleep(_REST_SECONDS)  # it may come again at each look
            await sleep(_LOOK_SECONDS if self._is_underway else min(self._poll_seconds, 0.1))

    @property
    def _is_underway(self) -> bool:
        order = self._place.rollout_state.order
        ordered = order is not None and order.target != self._note.serving
        return ordered or self._note.ready is not None

    async def _step(self) -> None:
        order = self._place.rollout_state.order
        if order and order.target != self._note.serving and await self._obey(order):
            return
        if monotonic() >= self._next_poll:
            await self._poll()
        if self._wanted and self._wanted != self._note.serving:
            await self._prepare(self._wanted)
            self._propose(order)

    async def _poll(self) -> None:
        """Look at the aliases."""
        self._next_poll = monotonic() + self._poll_seconds
        try:
            aliases = await self._beside(self._registry.aliases)
        except RegistryError as error:
            self._complain(str(error))
            return
        # While a version can't be fetched, aliases that can be read are no end of it.
        if self._note.state == "unreachable" and not self._retry_at:
            self._tell(state="serving", reason="")
        if not aliases.live:
            self._complain("the registry names no live version")
            return
        self._want(Target(aliases.live, aliases.generation))
        await self._shadowing.follow(aliases.shadow)
        if self._shadowing.version != self._note.shadow:
            self._tell(shadow=self._shadowing.version)

    def _want(self, target: Target) -> None:
        if target == self._wanted:
            return
        self._wanted = target
        self._retry_at.clear()
        if target == self._note.serving:
            self._tell(state="serving", ready=None, refused=None, reason="")

    async def _prepare(self, target: Target) -> None:
        """Have a version ready, if it can be."""
        if self._note.ready == target or self._is_too_early(target.version):
            return
        self._tell(state="loading", ready=None)
        if await self._has(target):
            self._ready_since = monotonic()
            self._tell(state="ready", ready=target, refused=None, reason="")

    async def _has(self, target: Target) -> bool:
        """Load a version unless it is here; false if it can't be had, and the note says why."""
        version = target.version
        if version == self.version or await self._stands_by(version):
            return True
        if self._is_too_early(version):
            return False
        self._retry_at[version] = monotonic() + _AGAIN  # whatever keeps it from being loaded
        try:
            scorer = await self._loaded(version)
        except (ModelRefused, Damaged, Refused) as reason:
            self._refuse(target, str(reason))
        except RegistryError as error:
            self._retry_at[version] = monotonic() + self._poll_seconds
            self._complain(str(error))
        else:
            self._metrics.loaded("loaded")
            self._standby[version] = self._slot.prepare(scorer)
            del self._retry_at[version]
            return True
        return False

    def _is_too_early(self, version: str) -> bool:
        """Whether a version that could not be had is to be left alone for now."""
        return monotonic() < self._retry_at.get(version, 0.0)

    async def _stands_by(self, version: str) -> bool:
        """Whether a version is loaded; somebody may have put other bytes under its name."""
        live = self._standby.get(version)
        if live and not await self._beside(self._loader.is_that, live.scorer, version):
            del self._standby[version]
        return version in self._standby

    async def _loaded(self, version: str) -> Scorer:
        """A version's scorer, loaded beside the event loop. Raises as the loader.

        What this host serves or came from is not timed: a way back is open, however slow it is.
        """
        order = self._place.rollout_state.order
        is_proven = order is not None and version in {order.target.version, order.former}
        present = None if is_proven else self._slot.current.scorer
        return await self._beside(self._loader.load, version, present)

    def _refuse(self, target: Target, reason: str) -> None:
        self._retry_at[target.version] = monotonic() + _AGAIN
        self._metrics.loaded("refused")
        log.error("Version %s is refused, %s stays: %s", target.version, self.version, reason)
        self._tell(state="refused", refused=target, reason=reason)

    @property
    def version(self) -> str:
        """What this worker serves."""
        return self._slot.current.version

    def _propose(self, former: Order | None) -> None:
        """Order the swap once all are ready, or those that say anything at all.

        `former` is the order that this worker knew when it began to prepare.
        """
        target = self._note.ready
        if target is None or target != self._wanted:
            return
        others = [self._place.rollout_state.note(at) for at in self._place.scoreboard.open_places()]
        if any(note and note.refused == target for note in others):
            return
        all_ready = all(note and target in (note.ready, note.serving) for note in others)
        if all_ready or monotonic() > self._ready_since + self._poll_seconds + _PATIENCE:
            order = Order(target, monotonic() + _NOTICE_SECONDS, self._left(target, former))
            self._place.rollout_state.give(order, instead_of=former)

    def _left(self, target: Target, former: Order | None) -> str:
        """The version that a change to the target leaves: what was ordered, had here or not."""
        if former is None:
            return self.version
        ordered = former.target.version
        return former.former if ordered == target.version else ordered

    async def _obey(self, order: Order) -> bool:
        """Serve what is ordered, at its moment; as soon as it can be had if that has passed.

        False while it can't be had: the aliases may name another by now.
        """
        # What was prepared for this order was looked at then: its file is not read once more.
        if self._note.ready != order.target and not await self._has(order.target):
            return False
        await sleep(max(0.0, order.at - monotonic()))
        former = self.version
        self._change(order.target)
        if former != order.target.version:  # else only the shadow has changed
            await self._beside(self._loader.keep, order.target.version)
            self._measure(order.target)
        return True

    def _change(self, target: Target) -> None:
        old = self._slot.current
        if old.version != target.version:
            self._slot.change(self._standby.pop(target.version))
            # The one that went stays warm, for a way back; those before it go.
            gone, self._standby = self._standby, {old.version: old}
            if gone:  # they are held by cycles; what is older than this process is frozen
                gone.clear()
                gc.collect()
            log.info("Version %s serves instead of %s", target.version, old.version)
        # What was wanted before the order may have been replaced: the next look tells.
        self._wanted = target
        self._retry_at.clear()
        self._tell(
            state="serving", serving=target, since=monotonic(), ready=None, refused=None, reason=""
        )

    def _measure(self, target: Target) -> None:
        notes = [self._place.rollout_state.note(at) for at in self._place.scoreboard.open_places()]
        # In a stop, no worker has a place that is open.
        if notes and all(note and note.serving == target for note in notes):
            since = [note.since for note in notes if note]
            self._metrics.mixed(max(since) - min(since))

    def _complain(self, reason: str) -> None:
        if reason != self._note.reason:
            log.warning("The models' registry is of no use now, %s stays: %s", self.version, reason)
        self._tell(state="unreachable", reason=reason)

    def _tell(self, **changed: Any) -> None:
        self._note = msgspec.structs.replace(self._note, **changed)
        self._place.rollout_state.put(self._place.number, self._note)
        worker = str(self._place.number)
        self._metrics.registry_up(worker, up=self._note.state != "unreachable")
        self._metrics.live_refused(worker, refused=self._note.refused is not None)
        self._metrics.serving(worker, self._note.serving.generation)

    async def _beside(self, function: Callable[..., T], *arguments: Any) -> T:
        return await run_in_thread(function, *arguments, pool=self._threads)
