"""Intervals of the calibration error: they hold its value, and the true one as often as stated."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.regno.evaluation.bootstrap import differences, intervals

_ECE = "calibration_error"
_REPETITIONS = 40

_SCORES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]))
_ROWS = st.lists(st.tuples(st.integers(0, 1), _SCORES, _SCORES), min_size=2, max_size=60).filter(
    lambda rows: len({row[0] for row in rows}) > 1
)


@settings(max_examples=30, deadline=None)
@given(_ROWS)
def test_an_interval_holds_its_value(rows: list[tuple[int, float, float]]) -> None:
    labels, new, other = (np.array(column) for column in zip(*rows, strict=True))
    of_one = intervals(labels, new, seed=1)[_ECE]
    assert 0 <= of_one.low <= of_one.value + 1e-12
    assert of_one.value <= of_one.high + 1e-12
    of_two = differences(labels, new, other, seed=1)[_ECE]
    assert of_two.low - 1e-12 <= of_two.difference <= of_two.high + 1e-12


def _sample(rows: int, seed: int) -> tuple[Any, Any]:
    """Labels, and the probabilities by which they were drawn, 0 to 0.9."""
    rng = np.random.default_rng(seed)
    true = rng.random(rows) * 0.9
    return (rng.random(rows) < true).astype(int), true


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.0, 0.02, 0.1])
def test_the_true_error_is_within_as_often_as_stated(error: float) -> None:
    """Scores that are all too high by `error` have that ECE, whatever the bins."""
    found = []
    for seed in range(_REPETITIONS):
        labels, true = _sample(400, seed)
        found.append(intervals(labels, true + error, seed)[_ECE])
    assert sum(each.low <= error <= each.high for each in found) >= 0.95 * _REPETITIONS


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.02, 0.1])
def test_the_true_difference_is_within_as_often_as_stated(error: float) -> None:
    found = []
    for seed in range(_REPETITIONS):
        labels, true = _sample(400, seed)
        found.append(differences(labels, true, true + error, seed)[_ECE])
    assert sum(each.low <= -error <= each.high for each in found) >= 0.95 * _REPETITIONS
    assert not any(each.verdict == "worse" for each in found)


def test_a_model_that_is_clearly_calibrated_worse_is_called_so() -> None:
    labels, true = _sample(4000, 1)
    assert differences(labels, true, true + 0.1, 1)[_ECE].verdict == "better"
    assert differences(labels, true + 0.1, true, 1)[_ECE].verdict == "worse"
