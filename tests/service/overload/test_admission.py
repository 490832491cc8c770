"""Admission: which requests are admitted, wait or are rejected, by places, deadlines and turns."""

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
PLACES = 40
# What the estimate of an array's time is learnt from, and what is estimated with it.
TELLING = 100_000
LONG = 4_000_000


class AdmissionHarness:
    """An admission, its rejections by reason, and the arrays that it admitted."""

    def __init__(self, settings: Settings, **changed: Any) -> None:
        settings = msgspec.structs.replace(settings, **changed)
        self.rejected: Counter[str] = Counter()
        self.admission = Admission(settings, lambda reason: self.rejected.update([reason]))
        self.done: list[int] = []
        self.over = Event()

    async def hold(self, count: int, size: int = LARGE) -> list["Task[None]"]:
        """Start `count` arrays: one has its turn until `over`, the others wait."""
        held = [create_task(self._hold(number, size)) for number in range(count)]
        await sleep(0)
        return held

    async def _hold(self, number: int, size: int) -> None:
        async with self.admission.array(size, inf):
            await self.over.wait()
            self.done.append(number)


@pytest.fixture
def harness(settings: Settings) -> AdmissionHarness:
    return AdmissionHarness(settings, max_waiting=PLACES)


def reason_of(harness: AdmissionHarness, size: int = SMALL, seconds: float | None = None) -> str:
    """The reason for which a request with this deadline is rejected."""
    before = Counter(harness.rejected)
    check = harness.admission.check_array if size > ARRAY_BYTES else None
    with pytest.raises(Overloaded) as rejected:
        _ = check(size, seconds) if check else harness.admission.check_single(seconds)
    (reason,) = harness.rejected - before
    assert rejected.value.reason == reason
    assert str(rejected.value) == TEXTS[reason]
    return reason


def test_nothing_is_rejected_while_the_next_batch_has_space(harness: AdmissionHarness) -> None:
    harness.admission.waiting = BATCH - 1
    assert harness.admission.check_single(None) == inf
    harness.admission.check_array(LARGE, None)
    for size in (0, SMALL, LARGE):
        harness.admission.check_head(size)
    assert not harness.rejected


def test_a_full_queue_rejects(harness: AdmissionHarness) -> None:
    harness.admission.waiting = BATCH + PLACES - 1
    harness.admission.check_single(None)
    harness.admission.check_head(SMALL)
    harness.admission.waiting += 1
    assert reason_of(harness) == "full"
    with pytest.raises(Overloaded, match=TEXTS["full"]):
        harness.admission.check_head(SMALL)


def test_arrays_give_way_before_single_rows_are_rejected(harness: AdmissionHarness) -> None:
    harness.admission.waiting = BATCH + PLACES // 4 - 1
    harness.admission.check_array(LARGE, None)
    harness.admission.waiting += 1
    assert reason_of(harness, LARGE) == "array"
    with pytest.raises(Overloaded, match=TEXTS["array"]):
        harness.admission.check_head(ARRAY_BYTES + 1)
    harness.admission.check_head(ARRAY_BYTES)
    harness.admission.check_single(None)
    assert harness.rejected == {"array": 2}


def test_without_waiting_places_arrays_are_rejected_like_single_rows(settings: Settings) -> None:
    harness = AdmissionHarness(settings, max_waiting=0)
    harness.admission.waiting = BATCH
    assert reason_of(harness) == "full"
    assert reason_of(harness, LARGE) == "array"
    with pytest.raises(Overloaded, match=TEXTS["array"]):
        harness.admission.check_head(LARGE)
    assert harness.admission.crowded


def test_arrays_give_way_too_when_single_rows_wait_long(settings: Settings) -> None:
    harness = AdmissionHarness(settings, max_wait_ms=1000)
    harness.admission.waiting = BATCH
    for _ in range(50):
        harness.admission.batch_took(0.3)
    assert reason_of(harness, LARGE) == "array"
    harness.admission.check_single(None)


@pytest.mark.anyio
async def test_arrays_have_their_turns_in_order(harness: AdmissionHarness) -> None:
    held = await harness.hold(5)
    assert harness.admission.crowded
    harness.over.set()
    await gather(*held)
    assert harness.done == list(range(5))
    assert not harness.admission.crowded


@pytest.mark.anyio
async def test_an_array_right_after_another_of_its_client_waits_for_its_turn(
    harness: AdmissionHarness,
) -> None:
    """A client whose next array is there already must not keep the turn."""
    began: list[str] = []

    async def stay(name: str) -> None:
        for _ in range(3):
            async with harness.admission.array(LARGE, inf):
                began.append(name)
                await sleep(0)

    await gather(*[stay(name) for name in "abc"])
    assert "".join(began) == "abc" * 3


@pytest.mark.anyio
async def test_waiting_arrays_take_no_places_of_single_rows(harness: AdmissionHarness) -> None:
    await harness.hold(3)
    assert harness.admission.check_single(None) == inf
    harness.admission.check_head(SMALL)
    assert not harness.rejected


@pytest.mark.anyio
async def test_arrays_that_wait_are_bounded(settings: Settings) -> None:
    harness = AdmissionHarness(settings, max_waiting=2)
    await harness.hold(2)
    harness.admission.check_array(LARGE, None)
    await harness.hold(1)
    assert reason_of(harness, LARGE) == "full"
    with pytest.raises(Overloaded, match=TEXTS["full"]):
        harness.admission.check_head(LARGE)


@pytest.mark.anyio
async def test_a_cancelled_array_keeps_no_turn(harness: AdmissionHarness) -> None:
    held = await harness.hold(4)
    # One waits, one has its turn, and one has just been given it.
    held[1].cancel()
    await sleep(0)
    held[0].cancel()
    held[2].cancel()
    for task in held[:3]:
        with pytest.raises(CancelledError):
            await task
    harness.over.set()
    await held[3]
    await gather(*await harness.hold(1))
    assert harness.done == [3, 0]
    assert not harness.admission.crowded


@pytest.mark.anyio
async def test_an_array_whose_turn_comes_too_late_is_rejected_and_hands_it_on(
    harness: AdmissionHarness,
) -> None:
    with pytest.raises(Overloaded, match=TEXTS["deadline"]):
        async with harness.admission.array(LARGE, latest=0.0):
            pytest.fail("it is not scored")
    assert harness.rejected == {"deadline": 1}
    async with harness.admission.array(LARGE, inf):
        pass


@pytest.mark.anyio
async def test_an_array_is_rejected_when_its_time_is_over_not_when_its_turn_comes(
    harness: AdmissionHarness,
) -> None:
    held = await harness.hold(2)
    async with timeout(20):
        with pytest.raises(Overloaded, match=TEXTS["deadline"]):
            async with harness.admission.array(LARGE, monotonic() + 0.01):
                raise AssertionError("it has its turn")
    assert harness.rejected == {"deadline": 1}
    assert harness.done == []
    harness.over.set()
    await gather(*held)
    assert harness.done == [0, 1]
    assert not harness.admission.crowded


@pytest.mark.anyio
async def test_an_array_that_fails_hands_its_turn_on(harness: AdmissionHarness) -> None:
    with pytest.raises(ZeroDivisionError):
        async with harness.admission.array(LARGE, inf):
            raise ZeroDivisionError
    async with harness.admission.array(LARGE, inf):
        pass


def test_a_row_is_rejected_when_the_batches_before_it_would_take_too_long(
    settings: Settings,
) -> None:
    harness = AdmissionHarness(settings, max_wait_ms=40, max_waiting=3 * BATCH)
    for _ in range(20):
        harness.admission.batch_took(0.03)
    harness.admission.waiting = 2 * BATCH - 1
    harness.admission.check_single(None)
    harness.admission.waiting = 2 * BATCH
    assert reason_of(harness) == "deadline"
    harness.admission.check_single(seconds=0.1)


def test_the_estimate_of_a_slow_batch_fades_without_new_batches(settings: Settings) -> None:
    harness = AdmissionHarness(settings, max_wait_ms=20)
    harness.admission.batch_took(1.0)
    harness.admission.waiting = BATCH
    refusals = 0
    while _is_rejected(harness):
        refusals += 1
        assert refusals < 1000, "it is never forgotten"
    assert refusals > 10


def _is_rejected(harness: AdmissionHarness) -> bool:
    try:
        harness.admission.check_single(None)
    except Overloaded:
        return True
    return False


class Clock:
    """The clock of the admission, which a test sets forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)

    @asynccontextmanager
    async def array(
        self, harness: AdmissionHarness, size: int, seconds: float
    ) -> AsyncIterator[None]:
        async with harness.admission.array(size, inf):
            self.now += seconds
            yield

    async def scored(self, harness: AdmissionHarness, size: int, seconds: float) -> None:
        """An array of so many bytes was scored, in so many seconds."""
        async with self.array(harness, size, seconds):
            pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.anyio
async def test_one_slow_array_does_not_make_others_seem_slow(
    harness: AdmissionHarness, clock: Clock
) -> None:
    await clock.scored(harness, TELLING, 60.0)
    harness.admission.check_array(LONG, seconds=1.0)
    for _ in range(30):
        await clock.scored(harness, TELLING, 0.2)
    assert reason_of(harness, LONG, seconds=1.0) == "deadline"


@pytest.mark.anyio
async def test_short_arrays_do_not_change_the_estimate_of_long_ones(
    harness: AdmissionHarness, clock: Clock
) -> None:
    for _ in range(1000):
        await clock.scored(harness, 3_000, 0.01)
    harness.admission.check_array(LONG, seconds=1.0)
    assert harness.rejected == Counter()


@pytest.mark.anyio
async def test_deadlines_that_can_not_be_met_do_not_make_arrays_seem_quick(
    harness: AdmissionHarness, clock: Clock
) -> None:
    for _ in range(2000):
        assert reason_of(harness, 10_000_000, seconds=0.001) == "deadline"
    # Nothing is scored so fast.
    assert reason_of(harness, 10_000_000, seconds=0.03) == "deadline"
    for _ in range(100):
        await clock.scored(harness, 10_000_000, 1.2)
    assert reason_of(harness, 10_000_000, seconds=1.0) == "deadline"


def test_an_array_that_can_not_be_scored_in_its_time_is_rejected(harness: AdmissionHarness) -> None:
    assert reason_of(harness, LONG, seconds=0.05) == "deadline"
    harness.admission.check_array(LONG, seconds=5.0)


@pytest.mark.anyio
async def test_an_array_waits_as_long_as_some_of_its_size_take(settings: Settings) -> None:
    """A client that sends many rows at once expects to wait for them."""
    harness = AdmissionHarness(settings, max_wait_ms=1)
    await harness.hold(2, LONG)
    assert reason_of(harness, LARGE) == "deadline"
    await harness.hold(1, LONG)
    harness.admission.check_array(2 * LONG, None)


def test_a_passed_deadline_is_rejected_even_when_nothing_waits(harness: AdmissionHarness) -> None:
    assert reason_of(harness, SMALL, seconds=-0.001) == "deadline"
    assert reason_of(harness, LARGE, seconds=-0.001) == "deadline"


def test_until_when_a_row_may_wait_is_what_its_caller_gives(
    settings: Settings, clock: Clock
) -> None:
    harness = AdmissionHarness(settings, max_wait_ms=250)
    assert harness.admission.check_single(seconds=0.5) == clock.now + 0.5
    assert harness.admission.check_single(None) == inf
    harness.admission.waiting = BATCH
    assert harness.admission.check_single(None) == pytest.approx(clock.now + 0.25)


@pytest.mark.anyio
async def test_it_is_crowded_when_a_batch_is_full_or_an_array_runs(
    harness: AdmissionHarness,
) -> None:
    crowded: list[bool] = []
    for waiting in (BATCH - 1, BATCH, 0):
        harness.admission.waiting = waiting
        crowded.append(harness.admission.crowded)
    held = await harness.hold(1)
    crowded.append(harness.admission.crowded)
    harness.over.set()
    await gather(*held)
    crowded.append(harness.admission.crowded)
    assert crowded == [False, True, False, True, False]
