"""Rows that are predicted together score as they do alone, and fail alone."""

from collections.abc import Sequence
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno import RegnoScorer, Row, Score
from model.regno.request import from_fields
from service.batching import Batcher
from tests.support.strategies import requests


def together(batcher: Batcher, rows: Sequence[Row]) -> list[Any]:
    """The outcome of each row, when as many greenlets ask at once: a score or an exception."""
    asking = [gevent.spawn(batcher.predict, row) for row in rows]
    gevent.joinall(asking)
    return [done.exception or done.get().score for done in asking]


@given(bodies=st.lists(requests(), min_size=1, max_size=40))
def test_a_batch_scores_each_row_as_it_scores_alone(
    scorer: RegnoScorer, bodies: list[dict[str, Any]]
) -> None:
    rows = [scorer.row(from_fields(**body)) for body in bodies]
    sizes: list[int] = []
    found = together(Batcher(scorer, lambda done, _: sizes.append(len(done))), rows)
    assert found == [scorer.predict([row])[0] for row in rows]
    assert sum(sizes) == len(rows)


@given(bodies=st.lists(requests(), min_size=1, max_size=8), bad=st.sets(st.integers(0, 7)))
def test_a_bad_row_fails_alone(
    scorer: RegnoScorer, bodies: list[dict[str, Any]], bad: set[int]
) -> None:
    good = [scorer.row(from_fields(**body)) for body in bodies]
    rows = [row[:-1] if place in bad else row for place, row in enumerate(good)]
    counted: list[tuple[Row, Score]] = []
    batcher = Batcher(scorer, lambda *told: counted.extend(zip(*told, strict=True)))
    found = together(batcher, rows)
    for place, (row, outcome) in enumerate(zip(rows, found, strict=True)):
        if place in bad:
            assert isinstance(outcome, Exception)
        else:
            assert outcome == scorer.predict([row])[0]
    assert len(counted) == len([place for place in range(len(rows)) if place not in bad])


def test_no_row_waits_for_another(scorer: RegnoScorer, request_body: dict[str, Any]) -> None:
    row = scorer.row(from_fields(**request_body))
    sizes: list[int] = []
    batcher = Batcher(scorer, lambda rows, _: sizes.append(len(rows)))
    for _ in range(3):
        assert together(batcher, [row]) == [scorer.predict([row])[0]]
    assert sizes == [1, 1, 1]


def test_an_error_keeps_its_type(scorer: RegnoScorer) -> None:
    batcher = Batcher(scorer, lambda _rows, _scores: None)
    with pytest.raises(Exception, match="feature"):
        raise together(batcher, [()])[0]


def test_a_fault_in_counting_costs_nobody_a_score(
    scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    def fail(_rows: Sequence[Row], _scores: Sequence[Score]) -> None:
        raise RuntimeError

    row = scorer.row(from_fields(**request_body))
    assert together(Batcher(scorer, fail), [row] * 3) == scorer.predict([row]) * 3
