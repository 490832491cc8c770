"""The rollout state that workers share in memory, and what is left when a writer dies."""

import os
from collections.abc import Callable

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
    statuses = [state.status(place) for place in range(PLACES)]
    assert [status.worker for status in statuses if status] == list(range(PLACES))


def test_a_cleared_status_is_read_as_none(file: int) -> None:
    state = RolloutState(file)
    state.set_status(3, WorkerStatus(3, 1, Phase.SERVING, Target("a", 1), 1.0))
    state.clear_status(3)
    assert state.status(3) is None


_SERVED, _NEXT, _LATER = Target("a", 1), Target("b", 2), Target("c", 3)
# Each transition, with the phases that it may lead to.
_TRANSITIONS: dict[str, tuple[Callable[[WorkerStatus], WorkerStatus], set[Phase]]] = {
    "loading": (WorkerStatus.loading, {Phase.LOADING}),
    "loaded": (lambda status: status.loaded(_NEXT), {Phase.READY}),
    "refusing": (lambda status: status.refusing(_LATER, "damaged"), {Phase.REFUSED}),
    "unreachable": (lambda status: status.unreachable("no reply"), {Phase.UNREACHABLE}),
    "reachable": (WorkerStatus.reachable, set(Phase) - {Phase.UNREACHABLE}),
    "settled": (WorkerStatus.settled, {Phase.SERVING}),
    "changed_to": (lambda status: status.changed_to(_NEXT, 2.0), {Phase.SERVING}),
}


def test_a_status_agrees_with_its_phase_after_all_transitions() -> None:
    start = WorkerStatus(0, 1, Phase.SERVING, _SERVED, 1.0, shadow="d")
    reached, pending = {start}, [start]
    while pending:
        status = pending.pop()
        for transition, phases in _TRANSITIONS.values():
            after = transition(status)
            assert after.state in phases
            if after not in reached:
                reached.add(after)
                pending.append(after)
    assert {status.state for status in reached} == set(Phase)
    for status in reached:
        _assert_agrees(status)


def _assert_agrees(status: WorkerStatus) -> None:
    """Each phase says which version is ready, which refused, and whether there is a reason."""
    assert status.shadow == "d"
    match status.state:
        case Phase.SERVING:
            assert (status.ready, status.refused, status.reason) == (None, None, "")
        case Phase.LOADING:
            assert status.ready is None
        case Phase.READY:
            assert (status.ready, status.refused, status.reason) == (_NEXT, None, "")
        case Phase.REFUSED:
            assert (status.ready, status.refused) == (None, _LATER)
        case Phase.UNREACHABLE:
            assert status.reason == "no reply"


def test_a_registry_that_is_back_restores_the_phase_before() -> None:
    serving = WorkerStatus(0, 1, Phase.SERVING, _SERVED, 1.0)
    ready, refusing = serving.loaded(_NEXT), serving.refusing(_LATER, "damaged")
    for status in (serving, ready, refusing):
        assert status.unreachable("no reply").reachable().state == status.state
    assert ready.unreachable("no reply").reachable() == ready
