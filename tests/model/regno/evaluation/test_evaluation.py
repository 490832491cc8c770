"""The metrics, on figures worked out by hand and on properties that always hold."""

from math import inf, isnan, log, nextafter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model.regno.evaluation import metrics

LABELS = np.array([1, 0, 1, 0])
PROBABILITIES = np.array([0.75, 0.25, 0.25, 0.5])

rows = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1, allow_subnormal=False)), min_size=1, max_size=60
)


def _arrays(pairs: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in pairs]), np.array([p for _, p in pairs])


def test_auc_counts_pairs_and_half_of_ties() -> None:
    # 0.75 beats 0.25 and 0.5; 0.25 ties with 0.25 and loses to 0.5: 2.5 of 4 pairs.
    assert metrics.auc(LABELS, PROBABILITIES) == 0.625


def test_auc_of_one_kind_of_label_is_no_number() -> None:
    assert isnan(metrics.auc(np.array([1, 1]), np.array([0.2, 0.9])))
    assert isnan(metrics.auc(np.array([0]), np.array([0.2])))


def test_accuracy_takes_exactly_one_half_for_a_negative() -> None:
    assert metrics.accuracy(LABELS, PROBABILITIES) == 0.75
    assert metrics.accuracy(np.array([1]), np.array([0.5])) == 0.0
    assert metrics.accuracy(np.array([1]), np.array([nextafter(0.5, 1)])) == 1.0


def test_brier_is_the_mean_square() -> None:
    assert metrics.brier(LABELS, PROBABILITIES) == (0.0625 + 0.0625 + 0.5625 + 0.25) / 4


def test_log_loss_is_the_mean_surprise() -> None:
    by_hand = -(log(0.75) + log(0.75) + log(0.25) + log(0.5)) / 4
    assert metrics.log_loss(LABELS, PROBABILITIES) == pytest.approx(by_hand, abs=1e-15)


def test_log_loss_of_a_hard_rule_is_clipped_not_infinite() -> None:
    wrong = metrics.log_loss(np.array([1, 0]), np.array([0.0, 1.0]))
    assert wrong != inf
    assert wrong == pytest.approx(34.539, abs=0.03)  # 1 - 1e-15 is rounded in doubles
    assert metrics.log_loss(np.array([1, 0]), np.array([1.0, 0.0])) < 1e-14


def test_reliability_bins_hold_their_rows() -> None:
    bins = metrics.reliability(LABELS, PROBABILITIES, bins=4)
    assert bins == [(2, 0.25, 0.5), (1, 0.5, 0.0), (1, 0.75, 1.0)]


def test_one_falls_into_the_last_bin() -> None:
    assert metrics.reliability(np.array([1, 0]), np.array([1.0, 0.9]), bins=10) == [(2, 0.95, 0.5)]


def test_calibration_error_weighs_gaps_by_rows() -> None:
    # (2 x 0.25 + 1 x 0.5 + 1 x 0.25) / 4
    assert metrics.calibration_error(LABELS, PROBABILITIES, bins=4) == 0.3125


def test_baselines_are_two_rules_and_the_networks_score() -> None:
    baselines = metrics.baselines(LABELS, np.array([0.9, 0.6, 0.5, 0.1]))
    assert list(baselines) == ["always_network", "score_over_half", "score_itself"]
    assert baselines["always_network"]["auc"] == 0.5
    assert baselines["always_network"]["accuracy"] == 0.5
    assert baselines["score_over_half"]["accuracy"] == 0.5  # 1 1 0 0 against 1 0 1 0
    assert baselines["score_itself"]["auc"] == 0.75


def test_slices_measure_each_group_alone() -> None:
    result = metrics.slices(LABELS, PROBABILITIES, np.array(["a", "a", "b", "b"]))
    assert result["a"]["auc"] == 1.0
    assert result["b"]["auc"] == 0.0
    assert [result[name]["rows"] for name in "ab"] == [2, 2]
    assert result["a"]["positive_share"] == 0.5


@given(rows)
def test_measures_stay_within_their_bounds(pairs: list[tuple[int, float]]) -> None:
    result = metrics.measures(*_arrays(pairs))
    assert isnan(result["auc"]) or 0 <= result["auc"] <= 1
    assert 0 <= result["accuracy"] <= 1
    assert 0 <= result["brier"] <= 1
    assert 0 <= result["log_loss"] < 35
    assert 0 <= result["calibration_error"] <= 1


@given(rows)
def test_auc_is_the_share_of_ordered_pairs(pairs: list[tuple[int, float]]) -> None:
    labels, probabilities = _arrays(pairs)
    assume(0 < labels.sum() < labels.size)
    above = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in probabilities[labels == 1]
        for n in probabilities[labels == 0]
    ]
    by_pairs = sum(above) / len(above)
    assert metrics.auc(labels, probabilities) == pytest.approx(by_pairs, abs=1e-12)


@given(rows)
def test_bins_partition_the_rows(pairs: list[tuple[int, float]]) -> None:
    labels, probabilities = _arrays(pairs)
    bins = metrics.reliability(labels, probabilities)
    assert sum(b.rows for b in bins) == labels.size
    assert sum(b.rows * b.observed_share for b in bins) == pytest.approx(labels.sum())
    assert sum(b.rows * b.mean_probability for b in bins) == pytest.approx(probabilities.sum())


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_the_truth_is_a_perfect_forecast(truth: list[int]) -> None:
    labels = np.array(truth)
    result = metrics.measures(labels, labels.astype(float))
    assert (result["brier"], result["calibration_error"], result["accuracy"]) == (0, 0, 1)
