"""What workers tell each other in shared memory, and what is left when a writer dies."""

import os

import pytest

from service.rollout.rollout_state import Order, Phase, RolloutState, Target, WorkerStatus
from service.runtime.scoreboard import PLACES

_LONG = "v" * 128  # as long as a registry lets a version's name be


@pytest.fixture
def file() -> int:
    return os.memfd_create("a-test")


def _order(version: str, generation: int) -> Order:
    return Order(Target(version, generation), 1.0)


def test_an_order_replaces_the_one_that_its_giver_knew_and_no_other(file: int) -> None:
    state = RolloutState(file)
    first, second, late = _order("a", 1), _order("b", 2), _order("c", 2)
    state.set_order(first, instead_of=None)
    state.set_order(second, instead_of=first)
    state.set_order(late, instead_of=first)
    assert state.order == second


def test_a_half_written_order_counts_as_none_until_the_next(file: int) -> None:
    state = RolloutState(file)
    state.set_order(_order("a", 1), instead_of=None)
    os.pwrite(file, b"?", 20)
    assert state.order is None
    state.set_order(_order("b", 2), instead_of=None)
    assert state.order == _order("b", 2)


@pytest.mark.parametrize("letter", ["x", "щ", "😀", "\x01", '"'])
def test_the_longest_status_does_not_reach_into_the_next(file: int, letter: str) -> None:
    state = RolloutState(file)
    target = Target(_LONG, 2**40)
    for place in range(PLACES):
        status = WorkerStatus(
            *(place, 2**22, Phase.UNREACHABLE, target, 1e9 / 3, target, target),
            reason=letter * 1000,
            shadow=_LONG,
        )
        state.set_status(place, status)
    found = [state.status(place) for place in range(PLACES)]
    assert [status.worker for status in found if status] == list(range(PLACES))


def test_a_cleared_status_is_none(file: int) -> None:
    state = RolloutState(file)
    state.set_status(3, WorkerStatus(3, 1, Phase.SERVING, Target("a", 1), 1.0))
    state.clear_status(3)
    assert state.status(3) is None
