"""What workers tell each other in shared memory, and what is left when a writer dies."""

import os

import pytest

from service.process.scoreboard import PLACES
from service.rollout.rollout_state import Note, Order, RolloutState, Target

_LONG = "v" * 128  # as long as a registry lets a version's name be


@pytest.fixture
def file() -> int:
    return os.memfd_create("a-test")


def _order(version: str, generation: int) -> Order:
    return Order(Target(version, generation), 1.0)


def test_an_order_replaces_the_one_that_its_giver_knew_and_no_other(file: int) -> None:
    board = RolloutState(file)
    first, second, late = _order("a", 1), _order("b", 2), _order("c", 2)
    board.give(first, instead_of=None)
    board.give(second, instead_of=first)
    board.give(late, instead_of=first)
    assert board.order == second


def test_a_half_written_order_counts_as_none_and_is_mended_by_the_next(file: int) -> None:
    board = RolloutState(file)
    board.give(_order("a", 1), instead_of=None)
    os.pwrite(file, b"?", 20)
    assert board.order is None
    board.give(_order("b", 2), instead_of=None)
    assert board.order == _order("b", 2)


@pytest.mark.parametrize("letter", ["x", "щ", "😀", "\x01", '"'])
def test_the_longest_note_leaves_its_neighbours_alone(file: int, letter: str) -> None:
    board = RolloutState(file)
    target = Target(_LONG, 2**40)
    for place in range(PLACES):
        note = Note(
            *(place, 2**22, "unreachable", target, 1e9 / 3, target, target),
            reason=letter * 1000,
            shadow=_LONG,
        )
        board.put(place, note)
    found = [board.note(place) for place in range(PLACES)]
    assert [note.worker for note in found if note] == list(range(PLACES))


def test_a_wiped_note_is_none(file: int) -> None:
    board = RolloutState(file)
    board.put(3, Note(3, 1, "serving", Target("a", 1), 1.0))
    board.wipe(3)
    assert board.note(3) is None
