"""Pauses before workers are started again: none at first, then longer ones up to a limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.restarts import HOPELESS, Restarts
from tests.support.clock import SteppedClock
from tests.support.vacuous import nonempty


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def _pauses(restarts: Restarts, clock: SteppedClock, deaths: int, workers: int = 1) -> list[float]:
    """Those after so many deaths, each as soon as its worker could be started."""
    pauses = []
    for _ in range(deaths):
        restarts.died(workers)
        pauses.append(round(restarts.pause, 3))
        clock.now += restarts.pause
    return pauses


def test_the_pauses_of_one_worker_grow_to_ten_seconds(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    assert _pauses(restarts, clock, 14) == [
        *([0.0] * 5),
        *(0.2, 0.4, 0.8, 1.6, 3.2, 6.4),
        *(10.0, 10.0, 10.0),
    ]


def test_all_of_many_workers_may_die_at_once(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    assert _pauses(restarts, clock, 64 * 5, workers=64) == [0.0] * 320
    assert 0 < _pauses(restarts, clock, 64, workers=64)[-1] <= 0.2


def test_after_half_a_minute_of_calm_it_begins_anew(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    assert _pauses(restarts, clock, 8)[-1] == 0.8
    clock.now += 30.1
    assert _pauses(restarts, clock, 6) == [0.0] * 5 + [0.2]


def test_a_death_each_half_minute_is_never_paused(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    for _ in range(100):
        clock.now += 30.1
        assert _pauses(restarts, clock, 1) == [0.0]


def test_forks_that_fail_are_tried_after_pauses_that_grow_and_end_nothing(
    clock: SteppedClock,
) -> None:
    restarts = Restarts(clock)
    pauses = []
    for _ in range(2000):
        restarts.fork_failed()
        pauses.append(restarts.pause)
        clock.now += restarts.pause
    assert pauses[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert set(pauses[4:]) == {10.0}
    assert not restarts.is_hopeless
    restarts.forked()
    restarts.fork_failed()
    assert restarts.pause == 1.0


@pytest.mark.parametrize("served_after", range(HOPELESS))
def test_a_server_is_hopeless_if_none_of_five_ever_served(
    served_after: int, clock: SteppedClock
) -> None:
    restarts = Restarts(clock)
    for death in range(1, HOPELESS + 1):
        assert not restarts.is_hopeless
        restarts.died(1)
        if death == served_after:
            restarts.ready()
    assert restarts.is_hopeless == (served_after == 0)


def _minute_of_failed_boots(restarts: Restarts, clock: SteppedClock) -> list[bool]:
    """What it says of its hopes after deaths every ten seconds, until a minute is over."""
    pauses = []
    for _ in range(7):
        restarts.died(1)
        pauses.append(restarts.is_hopeless)
        clock.now += 10
    return pauses


def test_a_server_that_has_served_is_hopeless_after_a_minute_of_failed_boots(
    clock: SteppedClock,
) -> None:
    restarts = Restarts(clock)
    restarts.ready()
    assert _minute_of_failed_boots(restarts, clock) == [False] * 6 + [True]
    assert restarts.failed_boots == 7


def test_few_failed_boots_are_not_hopeless_however_long_they_take(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    restarts.ready()
    for _ in range(HOPELESS - 1):
        restarts.died(1)
        clock.now += 300
        assert not restarts.is_hopeless


def test_while_a_worker_is_ready_nothing_is_hopeless(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    for _ in range(100):
        restarts.ready()
        restarts.died(1)
        clock.now += 10
        assert not restarts.is_hopeless


def test_deaths_of_ready_workers_are_no_failed_boots(clock: SteppedClock) -> None:
    restarts = Restarts(clock)
    restarts.ready()
    for _ in range(100):
        restarts.died(1, booting=False)
        clock.now += 10
        assert not restarts.is_hopeless


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=200),
    st.integers(1, 64),
)
def test_no_pause_is_longer_than_ten_seconds(
    events: list[tuple[float, bool]], workers: int
) -> None:
    clock = SteppedClock()
    restarts = Restarts(clock)
    for seconds, is_fork in nonempty(events):
        clock.now += seconds
        restarts.fork_failed() if is_fork else restarts.died(workers)
        assert 0 <= restarts.pause <= 10
