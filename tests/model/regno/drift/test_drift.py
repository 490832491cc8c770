"""Current rows counted by the bins of the reference, which the manifest holds."""

from collections import Counter
from itertools import pairwise
from math import inf, log, nan
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.drift.counter import DriftCounter, Variable
from model.regno import RegnoScorer
from model.regno.drift.reference import reference
from model.regno.features import NAMES, NUMERIC, TEXT
from model.regno.request import from_fields
from model.regno.training.simulate import simulate

NUMBER = Variable("hour", [0.5, 0.25, 0.25], 0.6, bounds=[6.0, 12.0])
CATEGORY = Variable("camera_type", [0.75, 0.25, 0.0], 0.4, values=["a", "b"])
SCORE = Variable("positive", [0.5, 0.5], 0.0, bounds=[0.5])


def test_a_number_is_in_the_first_bin_that_reaches_it() -> None:
    assert NUMBER.bins == ["6", "12", "+Inf"]
    assert NUMBER.count([-inf, 6, 6.1, 12, 12.1, inf, nan]) == [2, 2, 3]


def test_a_category_without_a_bin_is_other() -> None:
    assert CATEGORY.bins == ["a", "b", "other"]
    assert CATEGORY.count(["b", "a", "c", "b", "d"]) == [1, 2, 2]


@given(st.lists(st.tuples(st.floats(), st.sampled_from("abc"), st.floats(0, 1)), max_size=1200))
def test_every_row_is_in_one_bin_of_each_variable(rows: list[tuple[float, str, float]]) -> None:
    counter = DriftCounter(["hour", "camera_type"], [NUMBER, CATEGORY, SCORE])
    for number, category, score in rows:
        counter.add_rows([(number, category)], [score])
    counts = counter.take()
    for variable in counter.reference:
        assert sum(counts.get((variable.name, name), 0) for name in variable.bins) == len(rows)
    assert counts.get(("camera_type", "other"), 0) == sum(row[1] == "c" for row in rows)
    assert counts.get(("positive", "0.5"), 0) == sum(row[2] <= 0.5 for row in rows)
    assert counter.take() == {}


def test_rows_and_tables_are_counted_alike(scorer: RegnoScorer) -> None:
    readings = [from_fields(**sample.request) for sample in simulate(600, seed=4)]
    rows, table = scorer.rows(readings), scorer.table.of_readings(readings)
    positives = [score.positive for score in scorer.predict(rows)]
    by_rows, by_table = scorer.drift_counter(), scorer.drift_counter()
    by_rows.add_rows(rows, positives)
    by_table.add_table(table, positives)
    assert by_rows.take() == by_table.take() != {}


def test_the_expected_accuracy_is_the_mean_of_the_likelier_readings_probability() -> None:
    counter = DriftCounter(["hour", "camera_type"], [NUMBER, CATEGORY, SCORE])
    rows, positives = [(5, "a"), (7, "a"), (9, "c")], [0.25, 0.875, 0.5]
    counter.add_rows(rows, positives)
    counter.take()
    assert counter.take_correct() == {
        ("camera_type", "a"): 0.75 + 0.875,
        ("camera_type", "other"): 0.5,
        ("positive", "0.5"): 0.75 + 0.5,
        ("positive", "+Inf"): 0.875,
    }
    assert counter.take_correct() == {}
    counter.add_table(pd.DataFrame(rows, columns=["hour", "camera_type"]), positives)
    counter.take()
    assert sum(v for (name, _), v in counter.take_correct().items() if name == "positive") == 2.125


def test_the_expected_accuracy_of_the_bundled_model_is_the_one_it_was_measured_with(
    scorer: RegnoScorer,
) -> None:
    readings = [from_fields(**sample.request) for sample in simulate(4000, seed=77)]
    counter = scorer.drift_counter()
    counter.add_rows(scorer.rows(readings), [score.positive for score in scorer.score(readings)])
    counter.take()
    expected = sum(v for (of, _), v in counter.take_correct().items() if of == "positive") / 4000
    assert scorer.held_out_accuracy == pytest.approx(expected, abs=0.02)


def test_a_model_without_a_reference_counts_nothing() -> None:
    counter = DriftCounter(["hour"], [])
    counter.add_rows([(5,)], [0.5])
    assert counter.take() == counter.take_correct() == {}


def _psi(variable: Variable, counts: dict[tuple[str, str], int]) -> float:
    seen = [counts.get((variable.name, name), 0) for name in variable.bins]
    now = [max(count / sum(seen), 1e-4) for count in seen]
    then = [max(share, 1e-4) for share in variable.shares]
    return sum((a - e) * log(a / e) for a, e in zip(now, then, strict=True))


def _counted(scorer: RegnoScorer, requests: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    counter = scorer.drift_counter()
    rows = scorer.rows([from_fields(**request) for request in requests])
    counter.add_rows(rows, [score.positive for score in scorer.predict(rows)])
    return counter.take()


def test_the_bundled_reference_knows_its_own_kind_and_reports_a_stranger(
    scorer: RegnoScorer,
) -> None:
    assert scorer.manifest
    requests: list[dict[str, Any]] = [dict(s.request) for s in simulate(4000, seed=77)]
    alike = _counted(scorer, requests)
    dim = [{**r, "recognition_accuracy": r["recognition_accuracy"] / 2} for r in requests]
    strange = _counted(scorer, dim)
    for variable in scorer.manifest.reference:
        assert _psi(variable, alike) < 0.05, variable.name
    (accuracy,) = [v for v in scorer.manifest.reference if v.name == "recognition_accuracy"]
    assert _psi(accuracy, strange) > 0.25


def test_the_bundled_reference_covers_the_models_numbers_and_categories(
    scorer: RegnoScorer,
) -> None:
    assert scorer.manifest
    result = scorer.manifest.reference
    # The foreign_sym that never has a value has no bins either.
    assert {v.name for v in result} == {*NAMES, "positive"} - {*TEXT, "foreign_sym"}
    for variable in result:
        assert sum(variable.shares) == pytest.approx(1, abs=1e-4)
        assert len(variable.shares) == len(variable.bins) == len(set(variable.bins))
        assert bool(variable.values) != bool(variable.bounds)
        assert all(low < high for low, high in pairwise(variable.bounds))
    assert sum(variable.importance for variable in result) == pytest.approx(1, abs=1e-4)


def test_a_reference_has_bins_of_about_equal_shares() -> None:
    values = np.random.default_rng(5).normal(size=10_000).tolist()
    names = [*NUMERIC[:1], "camera_type"]
    rows = [(value, "ab"[value > 0]) for value in values]
    number, category, score = reference(names, rows, [0.25] * len(rows), {names[0]: 3.0})
    assert number.shares == pytest.approx([0.1] * 10, abs=0.002)
    assert number.importance == 1.0
    assert category.shares[:2] == [count / 10_000 for _, count in sorted(_tally(rows).items())]
    assert category.shares[2] == 0.0
    assert (score.name, score.bounds, score.shares) == ("positive", [0.25], [1.0, 0.0])


def _tally(rows: list[tuple[float, str]]) -> Counter[str]:
    return Counter(row[1] for row in rows)


def test_a_busy_second_is_sampled_at_random_and_counts_still_add_up() -> None:
    counter = DriftCounter(["camera_type"], [CATEGORY])
    turns = [("a",), ("b",)] * 5_000
    counter.add_rows(turns, [0.5] * len(turns))
    assert counter.take() == {("camera_type", "a"): 5_000, ("camera_type", "b"): 5_000}
    counter.add_rows(turns, [0.5] * len(turns))
    sampled = counter.take()
    # 256 of 10,000 each stand for 39: half of them a, give or take six standard deviations.
    assert 3_000 < sampled["camera_type", "a"] < 7_000
    assert 3_000 < sampled["camera_type", "b"] < 7_000
    assert all(count % 39 == 0 for count in sampled.values())
