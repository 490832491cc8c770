"""Rows that are predicted together score as they do alone, and fail alone."""

from asyncio import get_running_loop, sleep
from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno import RegnoScorer, Row
from model.regno.request import from_fields
from model.scorer import Score
from service.config.settings import Settings
from service.overload.admission import BATCH, Admission
from service.scoring import batching as module
from service.scoring.batching import Batcher
from tests.support.strategies import requests

pytestmark = pytest.mark.anyio

TOO_LATE = "too late"
Counted = Callable[[Sequence[Row], Sequence[Score]], None]


class Waiting:
    """A row that waits, and what became of it."""

    def __init__(self, row: Row, latest: float = inf) -> None:
        self.row = row
        self.latest = latest
        self.outcomes: list[Any] = []
        self.batch = (0.0, 0.0)

    def scored(self, score: Score, began: float, ended: float) -> None:
        self.outcomes.append(score)
        self.batch = began, ended

    def failed(self, error: Exception) -> None:
        self.outcomes.append(error)

    def too_late(self) -> None:
        self.outcomes.append(TOO_LATE)


class Noting(Admission):
    """An admission that notes how long batches seemed to take."""

    def __init__(self) -> None:
        super().__init__(Settings(), lambda _: None)
        self.took: list[float] = []

    def batch_took(self, seconds: float) -> None:
        self.took.append(seconds)
        super().batch_took(seconds)


def batcher_of(
    scorer: RegnoScorer, counted: Counted = lambda *_: None, admission: Admission | None = None
) -> Batcher:
    return Batcher(scorer, admission or Noting(), counted)


async def together(batcher: Batcher, rows: Sequence[Row]) -> list[Any]:
    """The outcome of each row, when all come in one iteration: a score or an exception."""
    waiting = [Waiting(row) for row in rows]
    for one in waiting:
        batcher.add(one)
    return [await outcome_of(one) for one in waiting]


async def outcome_of(waiting: Waiting) -> Any:
    while not waiting.outcomes:  # noqa: ASYNC110 - it is the loop's iterations that are counted
        await sleep(0)
    (outcome,) = waiting.outcomes
    return outcome


@given(bodies=st.lists(requests(), min_size=1, max_size=40))
async def test_a_batch_scores_each_row_as_it_scores_alone(
    scorer: RegnoScorer, bodies: list[dict[str, Any]]
) -> None:
    rows = [scorer.row(from_fields(**body)) for body in bodies]
    sizes: list[int] = []
    outcomes = await together(batcher_of(scorer, lambda done, _: sizes.append(len(done))), rows)
    assert outcomes == [scorer.predict([row])[0] for row in rows]
    assert sizes == [len(rows)]


@given(bodies=st.lists(requests(), min_size=1, max_size=8), bad=st.sets(st.integers(0, 7)))
async def test_a_bad_row_fails_alone(
    scorer: RegnoScorer, bodies: list[dict[str, Any]], bad: set[int]
) -> None:
    good = [scorer.row(from_fields(**body)) for body in bodies]
    rows = [row[:-1] if place in bad else row for place, row in enumerate(good)]
    counted: list[tuple[Row, Score]] = []
    batcher = batcher_of(scorer, lambda *outcomes: counted.extend(zip(*outcomes, strict=True)))
    outcomes = await together(batcher, rows)
    for place, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
        if place in bad:
            assert isinstance(outcome, Exception)
        else:
            assert outcome == scorer.predict([row])[0]
    assert len(counted) == len([place for place in range(len(rows)) if place not in bad])


async def test_no_row_waits_for_another(scorer: RegnoScorer, request_body: dict[str, Any]) -> None:
    row = scorer.row(from_fields(**request_body))
    sizes: list[int] = []
    batcher = batcher_of(scorer, lambda rows, _: sizes.append(len(rows)))
    for _ in range(3):
        assert await together(batcher, [row]) == [scorer.predict([row])[0]]
    assert sizes == [1, 1, 1]


async def test_rows_of_one_iteration_share_a_call_and_those_of_the_next_do_not(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    row = scorer.row(from_fields(**request_body))
    batches: list[int] = []
    batcher = batcher_of(scorer, lambda rows, _: batches.append(len(rows)))
    first, second, third = Waiting(row), Waiting(row), Waiting(row)
    loop = get_running_loop()
    # What is ready in one iteration is called before the batch that the first of it asks for.
    loop.call_soon(batcher.add, first)
    loop.call_soon(batcher.add, second)
    await sleep(0)
    assert batches == []
    loop.call_soon(loop.call_soon, batcher.add, third)
    for waiting in (first, second, third):
        await outcome_of(waiting)
    assert batches == [2, 1]
    assert first.batch == second.batch
    assert first.batch[0] <= first.batch[1] <= third.batch[0] <= third.batch[1]


async def test_a_batch_is_bounded_and_the_first_come_are_served_first(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    row = scorer.row(from_fields(**request_body))
    batches: list[int] = []
    admission = Noting()
    batcher = batcher_of(scorer, lambda rows, _: batches.append(len(rows)), admission)
    waiting = [Waiting(row) for _ in range(2 * BATCH + 1)]
    for one in waiting:
        batcher.add(one)
    assert admission.waiting == len(waiting)
    await outcome_of(waiting[0])
    assert [len(one.outcomes) for one in waiting] == [1] * BATCH + [0] * (BATCH + 1)
    assert admission.waiting == BATCH + 1
    await outcome_of(waiting[-1])
    assert batches == [BATCH, BATCH, 1]
    assert admission.waiting == 0
    begins = [one.batch[0] for one in waiting]
    assert begins == sorted(begins)


async def test_the_pace_is_that_of_batches_that_had_to_wait(
    scorer: RegnoScorer, request_body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    row = scorer.row(from_fields(**request_body))
    admission = Noting()

    def count(*_: object) -> None:
        now[0] += 0.25

    batcher = batcher_of(scorer, count, admission)
    await together(batcher, [row] * 3)
    now[0] += 10.0
    await together(batcher, [row] * BATCH)
    assert admission.took == []
    now[0] += 10.0
    await together(batcher, [row] * (2 * BATCH + 1))
    assert admission.took == [0.25, 0.25]


async def test_a_row_whose_time_is_over_is_not_scored(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    row = scorer.row(from_fields(**request_body))
    sizes: list[int] = []
    admission = Noting()
    batcher = batcher_of(scorer, lambda rows, _: sizes.append(len(rows)), admission)
    late, good = Waiting(row, latest=monotonic() - 1), Waiting(row, latest=monotonic() + 60)
    for one in (late, good):
        batcher.add(one)
    assert await outcome_of(late) == TOO_LATE
    assert await outcome_of(good) == scorer.predict([row])[0]
    batcher.add(last := Waiting(row, latest=monotonic() - 1))
    assert await outcome_of(last) == TOO_LATE
    assert sizes == [1]
    assert admission.waiting == 0


async def test_an_error_keeps_its_type(scorer: RegnoScorer) -> None:
    with pytest.raises(Exception, match="feature"):
        raise (await together(batcher_of(scorer), [()]))[0]


async def test_a_fault_in_counting_loses_no_score(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    def fail(_rows: Sequence[Row], _scores: Sequence[Score]) -> None:
        raise RuntimeError

    row = scorer.row(from_fields(**request_body))
    assert await together(batcher_of(scorer, fail), [row] * 3) == scorer.predict([row]) * 3


async def test_a_reply_that_fails_costs_the_others_none(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    class Broken(Waiting):
        def scored(self, *_: object) -> None:
            raise RuntimeError

    row = scorer.row(from_fields(**request_body))
    batcher = batcher_of(scorer)
    batcher.add(Broken(row))
    assert await together(batcher, [row] * 2) == scorer.predict([row]) * 2
