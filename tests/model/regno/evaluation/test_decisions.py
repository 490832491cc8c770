"""What decisions amount to on labelled rows, on figures worked out by hand and on properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno import Costs, Thresholds
from model.regno.evaluation import decisions
from tests.support.vacuous import nonempty

LABELS = np.array([0, 0, 1, 1, 0, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9])
COSTS = Costs(network_wrong=2.0, camera_wrong=1.0, manual=0.25)

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda n: n / 20)), min_size=1, max_size=40
)
costs = st.builds(Costs, st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0, 5))


def _arrays(pairs: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in pairs]), np.array([p for _, p in pairs])


def test_decisions_are_counted_by_what_was_right() -> None:
    made = decisions.decide(LABELS, SCORES, Thresholds.at(0.2, 0.6), COSTS)
    camera, network, manual = (made.by_decision[d] for d in ("camera", "network", "manual"))
    assert (camera.rows, camera.network_right, camera.camera_right) == (3, 1, 2)
    assert (network.rows, network.network_right, network.camera_right) == (4, 3, 1)
    assert (manual.rows, manual.share, manual.error) == (1, 0.125, None)
    assert camera.error == pytest.approx(1 / 3)
    assert network.error == 0.25
    # One wrong camera, one wrong network, one manual review, of eight rows.
    assert made.cost == pytest.approx((1 + 2 + 0.25) / 8)
    expected = (0.1 + 0.2 + 0.2) * 1 + (0.4 + 0.3 + 0.2 + 0.1) * 2 + 0.25
    assert made.expected_cost == pytest.approx(expected / 8)


def test_nothing_decided_has_no_error() -> None:
    made = decisions.decide(LABELS, SCORES, Thresholds.at(-np.inf, np.inf), COSTS)
    assert (made.camera, made.network) == (None, None)
    assert made.by_decision["manual"].rows == 8
    assert made.by_decision["network"].error is None
    assert made.cost == 0.25


@given(rows, costs)
def test_no_pair_of_thresholds_costs_less_than_the_cheapest(
    pairs: list[tuple[int, float]], prices: Costs
) -> None:
    labels, scores = _arrays(pairs)
    best = decisions.decide(labels, scores, decisions.cheapest(labels, scores, prices), prices)
    places = [-np.inf, *np.unique(scores).tolist(), np.inf]
    least = min(
        decisions.decide(labels, scores, Thresholds.at(camera, network), prices).cost
        for camera in places
        for network in places
        if camera <= network
    )
    assert best.cost == pytest.approx(least, abs=1e-9)


def test_dearer_reviews_leave_fewer_of_them() -> None:
    curve = nonempty(decisions.by_manual_cost(LABELS, SCORES, COSTS))
    manual = [point.shares["manual"] for point in curve]
    assert manual == sorted(manual, reverse=True)
    assert (manual[0], manual[-1]) == (1, 0)
    assert curve[-1].manual == pytest.approx(2 / 3)


def test_the_surest_rows_come_first() -> None:
    curve = nonempty(decisions.risk_coverage(LABELS, SCORES))
    # 0.1 and 0.9 are surest and right; the wrong ones at 0.2 (one), 0.4 and 0.6 come later.
    assert [(point.coverage, point.error) for point in curve[:2]] == [(0.125, 0), (0.25, 0)]
    assert curve[-1].coverage == 1
    assert curve[-1].error == pytest.approx(3 / 8)


def test_the_expected_accuracy_is_the_mean_of_the_likelier_side() -> None:
    assert decisions.expected_accuracy(np.array([0.1, 0.5, 0.8])) == pytest.approx(2.2 / 3)
