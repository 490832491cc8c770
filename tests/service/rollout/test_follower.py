"""A follower of the registry among other workers, which the tests simulate."""

import asyncio
import os
import threading
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from model import ModelRefused
from model.registry import Aliases, Unavailable
from service.rollout import follower as module
from service.rollout.follower import Follower, Place
from service.rollout.rollout_state import Order, Phase, RolloutState, Target, WorkerStatus
from service.runtime.scoreboard import Scoreboard

if TYPE_CHECKING:
    from collections.abc import Callable

_MINE, _OTHER = 0, 1


def _fake(**what: Any) -> Any:
    return SimpleNamespace(**what)


class World:
    """A follower of version `first`, its registry, its loader, and what all can read.

    `before` is done when a version is loaded, and may raise; `replaced` are versions of which the
    registry has other bytes by now; `looks` are those that were looked at for that.
    """

    def __init__(self, poll_seconds: float = 0.0) -> None:
        self.aliases = Aliases(live="first", generation=1)
        self.loads: list[tuple[str, bool]] = []
        self.replaced: set[str] = set()
        self.looks: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.scoreboard = Scoreboard(2)
        self.scoreboard.take()
        self.scoreboard.take()
        self.rollout_state = RolloutState(os.memfd_create("a-test"))
        self.slot = _fake(
            current=self.made(_fake(version="first")), shadow=None, recorder=None, prepare=self.made
        )
        self.slot.change = partial(setattr, self.slot, "current")
        nothing = _fake(
            loaded=lambda _: None,
            mixed=lambda _: None,
            registry_up=lambda *_, **__: None,
            live_refused=lambda *_, **__: None,
            serving=lambda *_: None,
        )
        registry = _fake(aliases=lambda: self.aliases)
        loader = _fake(
            load=self._load,
            serving=self._load,
            keep=lambda _: None,
            is_current=self._is_current,
        )
        place = Place(_MINE, self.scoreboard, self.rollout_state)
        self.follower = Follower(
            registry,
            loader,
            self.slot,
            place,
            nothing,
            poll_seconds,
            lambda scorer: _fake(scorer=scorer),
        )

    @staticmethod
    def made(scorer: Any) -> Any:
        return _fake(scorer=scorer, version=scorer.version)

    def _load(self, version: str, present: Any = None) -> Any:
        self.loads.append((version, present is not None))
        self.before(version)
        return _fake(version=version)

    def _is_current(self, _: Any, version: str) -> bool:
        self.looks.append(version)
        return version not in self.replaced

    def other(self, serving: Target, ready: Target | None = None) -> None:
        """Write the other worker's status."""
        self.rollout_state.set_status(
            _OTHER, WorkerStatus(_OTHER, 1, Phase.SERVING, serving, 1.0, ready)
        )

    def order(self, target: Target) -> None:
        """Somebody orders a version, at once."""
        self.rollout_state.set_order(Order(target, 0.0), instead_of=self.rollout_state.order)

    @property
    def ordered(self) -> Target | None:
        order = self.rollout_state.order
        return order.target if order else None

    @property
    def state(self) -> str:
        note = self.rollout_state.status(_MINE)
        return note.state if note else ""

    def change_to(self, version: str, generation: int) -> None:
        """All want a version, and the other worker has it ready."""
        target = Target(version, generation)
        self.other(target, ready=target)
        self.aliases = Aliases(live=version, generation=generation)
        self.step()
        self.step()

    def step(self) -> None:
        """One of those that start() does for ever."""
        asyncio.run(self.follower._step())


@pytest.fixture
def world() -> World:
    world = World()
    world.order(Target("first", 1))
    world.follower.catch_up()
    return world


def _refuse(version: str) -> None:
    raise ModelRefused(f"{version} is no good")


@pytest.mark.anyio
async def test_whatever_a_step_raises_it_follows_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.01)
    monkeypatch.setattr(module, "_AGAIN", 0.0)

    def broken_at_first(_: str) -> None:
        if len(world.loads) == 1:
            raise MemoryError

    world.before = broken_at_first
    world.aliases = Aliases(live="second", generation=2)
    world.follower.start()
    async with asyncio.timeout(20):
        while world.state != "ready":  # noqa: ASYNC110 - other processes look there too
            await asyncio.sleep(0.01)
    assert caplog.text.count("MemoryError") == 1


@pytest.mark.anyio
async def test_the_event_loop_goes_on_while_a_version_is_loaded(world: World) -> None:
    loading, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(_: str) -> None:
        loop.call_soon_threadsafe(loading.set)
        assert may_end.wait(20), "the loop stands still"

    world.before = slow
    world.aliases = Aliases(live="second", generation=2)
    step = asyncio.create_task(world.follower._step())
    await loading.wait()
    may_end.set()
    await step
    assert world.state == "ready"


def test_a_slow_load_does_not_undo_a_newer_order(world: World) -> None:
    old, new = Target("second", 2), Target("third", 3)
    world.other(Target("first", 1), ready=old)
    world.aliases = Aliases(live="second", generation=2)
    world.before = lambda _: world.order(new)
    world.step()
    assert world.ordered == new


def test_after_an_order_nothing_older_is_wanted(world: World) -> None:
    world.other(Target("first", 1))
    world.aliases = Aliases(live="second", generation=2)
    world.step()
    world.order(Target("third", 3))
    world.step()
    assert world.follower.version == "third"
    world.follower._next_poll = float("inf")  # it can't look at the aliases
    world.other(Target("third", 3), ready=Target("second", 2))
    world.step()
    assert world.ordered == Target("third", 3)


def test_a_worker_that_refused_the_ordered_version_still_follows_the_aliases(world: World) -> None:
    world.before = _refuse
    world.order(Target("second", 2))
    world.step()
    assert world.follower.version == "first"
    back = Target("first", 3)
    world.other(Target("second", 2), ready=back)
    world.aliases = Aliases(live="first", generation=3)
    world.step()
    assert world.ordered == back


def test_a_shadow_that_cannot_be_fetched_delays_no_swap(world: World) -> None:
    def broken(version: str) -> None:
        if version == "third":
            raise MemoryError

    world.before = broken
    wanted = Target("second", 2)
    world.other(Target("first", 1), ready=wanted)
    world.aliases = Aliases(live="second", shadow="third", generation=2)
    with pytest.raises(MemoryError):
        world.step()
    world.step()
    assert world.ordered == wanted
    assert [version for version, _ in world.loads] == ["third", "second"]


def test_what_fails_unforeseen_is_not_tried_again_at_once(world: World) -> None:
    def broken(_: str) -> None:
        raise MemoryError

    world.before = broken
    world.aliases = Aliases(live="second", generation=2)
    with pytest.raises(MemoryError):
        world.step()
    world.step()
    assert len(world.loads) == 1


def test_a_version_that_cant_be_fetched_is_reported_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(_: str) -> None:
        raise Unavailable("no reply")

    world.before = gone
    world.aliases = Aliases(live="second", generation=2)
    for _ in range(3):
        world.step()
    assert len(world.loads) == 3
    assert caplog.text.count("no reply") == 1
    world.before = lambda _: None
    world.step()
    assert world.state == "ready"


def test_a_registry_that_is_back_is_reported_though_a_version_was_refused_before(
    world: World,
) -> None:
    world.aliases = Aliases(live="second", generation=2)
    world.before = _refuse
    world.step()
    world.before = lambda _: None
    world.order(Target("third", 3))
    world.step()
    world.aliases = Aliases(generation=3)  # it names no live version
    world.step()
    assert world.state == "unreachable"
    world.aliases = Aliases(live="third", generation=3)
    world.step()
    assert world.state == "serving"


def test_a_later_started_worker_is_not_timed_and_keeps_its_first_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_NOTICE_SECONDS", 0.0)
    world = World()
    world.order(Target("second", 2))
    world.follower.catch_up()
    world.other(Target("second", 2), ready=Target("first", 3))
    world.aliases = Aliases(live="first", generation=3)
    world.step()
    world.step()
    assert world.follower.version == "first"
    assert world.loads == [("second", False)]


def test_a_way_back_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The former version may be the slower one, and workers started since have to load it."""
    monkeypatch.setattr(module, "_NOTICE_SECONDS", 0.0)
    world = World()
    world.order(Target("first", 1))
    world.follower.catch_up()
    world.change_to("second", 2)
    world.change_to("third", 3)
    world.follower._standby.clear()
    world.aliases = Aliases(live="second", generation=4)
    world.step()
    assert world.loads == [("second", True), ("third", True), ("second", False)]


def test_a_way_back_to_what_this_worker_never_had_is_not_timed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others served the second version, and left it by this one's order."""
    monkeypatch.setattr(module, "_NOTICE_SECONDS", 0.0)
    world.before = _refuse
    world.order(Target("second", 2))
    world.step()
    world.change_to("first", 3)
    world.before = lambda _: None
    world.change_to("second", 4)
    assert world.follower.version == "second"
    assert world.loads[-1] == ("second", False)


def test_the_order_waits_for_a_worker_that_polls_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    world = World(poll_seconds=60.0)
    first, second = Target("first", 1), Target("second", 2)
    world.order(first)
    world.follower.catch_up()
    world.other(first)
    world.aliases = Aliases(live="second", generation=2)
    world.step()
    now += 59
    world.step()
    assert world.ordered == first
    now += 12
    world.step()
    assert world.ordered == second


def test_changed_bytes_of_a_standby_version_are_loaded(world: World) -> None:
    world.change_to("second", 2)
    world.change_to("first", 3)
    assert world.loads == [("second", True)]
    world.replaced = {"second"}
    world.aliases = Aliases(live="second", generation=4)
    world.step()
    assert [version for version, _ in world.loads] == ["second", "second"]


def test_the_standby_version_is_checked_once_a_swap(world: World) -> None:
    """Each look reads and hashes the whole model while callers wait for scores."""
    for generation, version in enumerate(("second", "first", "second"), start=2):
        world.change_to(version, generation)
        assert world.follower.version == version
    assert world.looks == ["first", "second"]


def test_a_swap_during_a_stop_is_no_failure(world: World) -> None:
    """No worker takes connections then, so no time with two versions is measured."""
    world.scoreboard.close(_MINE)
    world.scoreboard.close(_OTHER)
    world.change_to("second", 2)
    assert world.follower.version == "second"
    assert world.state == "serving"
