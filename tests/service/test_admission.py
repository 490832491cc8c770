"""Who is let in, who waits, who is rejected: rooms, deadlines, turns, and what is learnt."""

from asyncio import CancelledError, Event, Task, create_task, gather, sleep, timeout
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import Any

import msgspec
import pytest

from service.config.settings import Settings
from service.overload import admission as module
from service.overload.admission import ARRAY_BYTES, BATCH, TEXTS, Admission, Overloaded

SMALL = 700
LARGE = 50_000
ROOM = 40
# What the estimate of an array's time is learnt from, and what is estimated with it.
TELLING = 100_000
LONG = 4_000_000


class Room:
    """An admission, what it rejected, and arrays that are in it."""

    def __init__(self, settings: Settings, **changed: Any) -> None:
        settings = msgspec.structs.replace(settings, **changed)
        self.rejected: Counter[str] = Counter()
        self.admission = Admission(settings, lambda reason: self.rejected.update([reason]))
        self.done: list[int] = []
        self.over = Event()

    async def hold(self, count: int, size: int = LARGE) -> list["Task[None]"]:
        """So many arrays: one has its turn until `over`, the others wait."""
        held = [create_task(self._hold(number, size)) for number in range(count)]
        await sleep(0)
        return held

    async def _hold(self, number: int, size: int) -> None:
        async with self.admission.array(size, inf):
            await self.over.wait()
            self.done.append(number)


@pytest.fixture
def room(settings: Settings) -> Room:
    return Room(settings, max_waiting=ROOM)


def reason_of(room: Room, size: int = SMALL, seconds: float | None = None) -> str:
    """Why a request is rejected that leaves so many seconds."""
    before = Counter(room.rejected)
    check = room.admission.check_array if size > ARRAY_BYTES else None
    with pytest.raises(Overloaded) as rejected:
        _ = check(size, seconds) if check else room.admission.check_single(seconds)
    (reason,) = room.rejected - before
    assert rejected.value.reason == reason
    assert str(rejected.value) == TEXTS[reason]
    return reason


def test_nobody_is_rejected_while_the_next_batch_has_room(room: Room) -> None:
    room.admission.waiting = BATCH - 1
    assert room.admission.check_single(None) == inf
    room.admission.check_array(LARGE, None)
    for size in (0, SMALL, LARGE):
        room.admission.check_head(size)
    assert not room.rejected


def test_a_full_room_rejects(room: Room) -> None:
    room.admission.waiting = BATCH + ROOM - 1
    room.admission.check_single(None)
    room.admission.check_head(SMALL)
    room.admission.waiting += 1
    assert reason_of(room) == "full"
    with pytest.raises(Overloaded, match=TEXTS["full"]):
        room.admission.check_head(SMALL)


def test_arrays_give_way_before_single_rows_are_rejected(room: Room) -> None:
    room.admission.waiting = BATCH + ROOM // 4 - 1
    room.admission.check_array(LARGE, None)
    room.admission.waiting += 1
    assert reason_of(room, LARGE) == "array"
    with pytest.raises(Overloaded, match=TEXTS["array"]):
        room.admission.check_head(ARRAY_BYTES + 1)
    room.admission.check_head(ARRAY_BYTES)
    room.admission.check_single(None)
    assert room.rejected == {"array": 2}


def test_where_nobody_may_wait_arrays_are_rejected_with_single_rows(settings: Settings) -> None:
    room = Room(settings, max_waiting=0)
    room.admission.waiting = BATCH
    assert reason_of(room) == "full"
    assert reason_of(room, LARGE) == "array"
    with pytest.raises(Overloaded, match=TEXTS["array"]):
        room.admission.check_head(LARGE)
    assert room.admission.crowded


def test_arrays_give_way_too_when_single_rows_wait_long(settings: Settings) -> None:
    room = Room(settings, max_wait_ms=1000)
    room.admission.waiting = BATCH
    for _ in range(50):
        room.admission.batch_took(0.3)
    assert reason_of(room, LARGE) == "array"
    room.admission.check_single(None)


@pytest.mark.anyio
async def test_arrays_have_their_turns_in_order(room: Room) -> None:
    held = await room.hold(5)
    assert room.admission.crowded
    room.over.set()
    await gather(*held)
    assert room.done == list(range(5))
    assert not room.admission.crowded


@pytest.mark.anyio
async def test_who_leaves_and_comes_again_at_once_waits_like_others(room: Room) -> None:
    """A client whose next array is there already must not keep the turn."""
    began: list[str] = []

    async def stay(name: str) -> None:
        for _ in range(3):
            async with room.admission.array(LARGE, inf):
                began.append(name)
                await sleep(0)

    await gather(*[stay(name) for name in "abc"])
    assert "".join(began) == "abc" * 3


@pytest.mark.anyio
async def test_arrays_leave_the_room_to_single_rows(room: Room) -> None:
    await room.hold(3)
    assert room.admission.check_single(None) == inf
    room.admission.check_head(SMALL)
    assert not room.rejected


@pytest.mark.anyio
async def test_arrays_that_wait_are_bounded(settings: Settings) -> None:
    room = Room(settings, max_waiting=2)
    await room.hold(2)
    room.admission.check_array(LARGE, None)
    await room.hold(1)
    assert reason_of(room, LARGE) == "full"
    with pytest.raises(Overloaded, match=TEXTS["full"]):
        room.admission.check_head(LARGE)


@pytest.mark.anyio
async def test_who_is_cancelled_leaves_no_turn_taken(room: Room) -> None:
    held = await room.hold(4)
    # One waits, one has its turn, and one has just been given it.
    held[1].cancel()
    await sleep(0)
    held[0].cancel()
    held[2].cancel()
    for task in held[:3]:
        with pytest.raises(CancelledError):
            await task
    room.over.set()
    await held[3]
    await gather(*await room.hold(1))
    assert room.done == [3, 0]
    assert not room.admission.crowded


@pytest.mark.anyio
async def test_an_array_whose_turn_comes_too_late_is_rejected_and_hands_it_on(room: Room) -> None:
    with pytest.raises(Overloaded, match=TEXTS["deadline"]):
        async with room.admission.array(LARGE, latest=0.0):
            pytest.fail("it is not scored")
    assert room.rejected == {"deadline": 1}
    async with room.admission.array(LARGE, inf):
        pass


@pytest.mark.anyio
async def test_an_array_is_rejected_when_its_time_is_over_not_when_its_turn_comes(
    room: Room,
) -> None:
    held = await room.hold(2)
    async with timeout(20):
        with pytest.raises(Overloaded, match=TEXTS["deadline"]):
            async with room.admission.array(LARGE, monotonic() + 0.01):
                raise AssertionError("it has its turn")
    assert room.rejected == {"deadline": 1}
    assert room.done == []
    room.over.set()
    await gather(*held)
    assert room.done == [0, 1]
    assert not room.admission.crowded


@pytest.mark.anyio
async def test_an_array_that_fails_hands_its_turn_on(room: Room) -> None:
    with pytest.raises(ZeroDivisionError):
        async with room.admission.array(LARGE, inf):
            raise ZeroDivisionError
    async with room.admission.array(LARGE, inf):
        pass


def test_who_would_wait_too_long_is_rejected_by_the_pace_of_those_before(
    settings: Settings,
) -> None:
    room = Room(settings, max_wait_ms=40, max_waiting=3 * BATCH)
    for _ in range(20):
        room.admission.batch_took(0.03)
    room.admission.waiting = 2 * BATCH - 1
    room.admission.check_single(None)
    room.admission.waiting = 2 * BATCH
    assert reason_of(room) == "deadline"
    room.admission.check_single(seconds=0.1)


def test_a_slow_moment_is_forgotten_though_nobody_waits_to_refute_it(settings: Settings) -> None:
    room = Room(settings, max_wait_ms=20)
    room.admission.batch_took(1.0)
    room.admission.waiting = BATCH
    refusals = 0
    while _is_rejected(room):
        refusals += 1
        assert refusals < 1000, "it is never forgotten"
    assert refusals > 10


def _is_rejected(room: Room) -> bool:
    try:
        room.admission.check_single(None)
    except Overloaded:
        return True
    return False


class Clock:
    """The clock of the admission, which a test sets forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)

    @asynccontextmanager
    async def array(self, room: Room, size: int, seconds: float) -> AsyncIterator[None]:
        async with room.admission.array(size, inf):
            self.now += seconds
            yield

    async def scored(self, room: Room, size: int, seconds: float) -> None:
        """An array of so many bytes was scored, in so many seconds."""
        async with self.array(room, size, seconds):
            pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.anyio
async def test_one_slow_array_does_not_make_others_seem_slow(room: Room, clock: Clock) -> None:
    await clock.scored(room, TELLING, 60.0)
    room.admission.check_array(LONG, seconds=1.0)
    for _ in range(30):
        await clock.scored(room, TELLING, 0.2)
    assert reason_of(room, LONG, seconds=1.0) == "deadline"


@pytest.mark.anyio
async def test_short_arrays_tell_nothing_of_long_ones(room: Room, clock: Clock) -> None:
    for _ in range(1000):
        await clock.scored(room, 3_000, 0.01)
    room.admission.check_array(LONG, seconds=1.0)
    assert room.rejected == Counter()


@pytest.mark.anyio
async def test_deadlines_that_can_not_be_met_do_not_make_arrays_seem_quick(
    room: Room, clock: Clock
) -> None:
    for _ in range(2000):
        assert reason_of(room, 10_000_000, seconds=0.001) == "deadline"
    # Nothing is scored so fast.
    assert reason_of(room, 10_000_000, seconds=0.03) == "deadline"
    for _ in range(100):
        await clock.scored(room, 10_000_000, 1.2)
    assert reason_of(room, 10_000_000, seconds=1.0) == "deadline"


def test_an_array_that_can_not_be_scored_in_its_time_is_rejected(room: Room) -> None:
    assert reason_of(room, LONG, seconds=0.05) == "deadline"
    room.admission.check_array(LONG, seconds=5.0)


@pytest.mark.anyio
async def test_an_array_waits_as_long_as_some_of_its_size_take(settings: Settings) -> None:
    """Who sends many rows at once waits for them anyway."""
    room = Room(settings, max_wait_ms=1)
    await room.hold(2, LONG)
    assert reason_of(room, LARGE) == "deadline"
    await room.hold(1, LONG)
    room.admission.check_array(2 * LONG, None)


def test_a_time_that_is_over_is_rejected_whoever_waits(room: Room) -> None:
    assert reason_of(room, SMALL, seconds=-0.001) == "deadline"
    assert reason_of(room, LARGE, seconds=-0.001) == "deadline"


def test_until_when_a_row_may_wait_is_what_its_caller_gives(
    settings: Settings, clock: Clock
) -> None:
    room = Room(settings, max_wait_ms=250)
    assert room.admission.check_single(seconds=0.5) == clock.now + 0.5
    assert room.admission.check_single(None) == inf
    room.admission.waiting = BATCH
    assert room.admission.check_single(None) == pytest.approx(clock.now + 0.25)


@pytest.mark.anyio
async def test_it_is_crowded_when_a_batch_is_full_or_an_array_runs(room: Room) -> None:
    crowded: list[bool] = []
    for waiting in (BATCH - 1, BATCH, 0):
        room.admission.waiting = waiting
        crowded.append(room.admission.crowded)
    held = await room.hold(1)
    crowded.append(room.admission.crowded)
    room.over.set()
    await gather(*held)
    crowded.append(room.admission.crowded)
    assert crowded == [False, True, False, True, False]
