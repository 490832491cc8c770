"""The decision is the one of least expected cost, and the margin shows how clear it is."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model.regno import Costs, Thresholds

_MISTAKES = st.floats(1e-3, 1e6)
_COSTS = st.builds(Costs, _MISTAKES, _MISTAKES, st.floats(0, 1e6))
_PROBABILITIES = st.floats(0, 1)


def expected(costs: Costs, positive: float) -> dict[str, float]:
    """What each choice costs on the average."""
    return {
        "network": (1 - positive) * costs.network_wrong,
        "camera": positive * costs.camera_wrong,
        "manual": costs.manual,
    }


@given(_COSTS, _PROBABILITIES)
def test_no_choice_costs_less_than_the_decision(costs: Costs, positive: float) -> None:
    by_choice = expected(costs, positive)
    chosen = by_choice[Thresholds(costs).decide(positive)]
    assert chosen <= min(by_choice.values()) * (1 + 1e-9) + 1e-9


@given(_COSTS)
def test_at_a_threshold_both_of_its_sides_cost_the_same(costs: Costs) -> None:
    thresholds = Thresholds(costs)
    camera, network = expected(costs, thresholds.camera), expected(costs, thresholds.network)
    if thresholds.camera < thresholds.network:
        assert camera["camera"] == pytest.approx(costs.manual, rel=1e-6, abs=1e-9)
        assert network["network"] == pytest.approx(costs.manual, rel=1e-6, abs=1e-9)
    else:
        assert camera["camera"] == pytest.approx(network["network"], rel=1e-6, abs=1e-9)


@given(_COSTS, _PROBABILITIES, _PROBABILITIES)
def test_the_decision_goes_to_the_network_with_the_probability(
    costs: Costs, one: float, other: float
) -> None:
    order = ("camera", "manual", "network")
    thresholds = Thresholds(costs)
    decided = [order.index(thresholds.decide(p)) for p in sorted((one, other))]
    assert decided == sorted(decided)


@given(_COSTS, _PROBABILITIES, st.floats(-0.999, 0.999))
def test_within_the_margin_nothing_changes_the_decision(
    costs: Costs, positive: float, share: float
) -> None:
    thresholds = Thresholds(costs)
    margin = thresholds.margin(positive)
    assert margin >= 0
    moved = positive + share * margin
    assume(abs(moved - positive) < margin)  # what is less than a double can tell is not a move
    assert thresholds.decide(moved) == thresholds.decide(positive)


@given(_COSTS)
def test_it_is_never_manual_where_a_look_is_never_the_cheapest(costs: Costs) -> None:
    thresholds = Thresholds(costs)
    middle = costs.network_wrong / (costs.network_wrong + costs.camera_wrong)
    assume(costs.manual > expected(costs, middle)["camera"] * (1 + 1e-9))
    assert thresholds.camera == thresholds.network == middle


@pytest.mark.parametrize(
    ("positive", "decision", "margin"),
    [
        (0.0, "camera", 0.3),
        (0.3, "camera", 0.0),
        (0.31, "manual", 0.01),
        (0.5, "manual", 0.2),
        (0.69, "manual", 0.01),
        (0.7, "network", 0.0),
        (1.0, "network", 0.3),
    ],
)
def test_equal_mistakes_and_a_look_at_a_third_of_them(
    positive: float, decision: str, margin: float
) -> None:
    thresholds = Thresholds(Costs(1.0, 1.0, 0.3))
    assert (thresholds.camera, thresholds.network) == (0.3, 0.7)
    assert thresholds.decide(positive) == decision
    assert thresholds.margin(positive) == pytest.approx(margin, abs=1e-12)


def test_a_dear_mistake_of_the_network_asks_for_more_certainty() -> None:
    thresholds = Thresholds(Costs(network_wrong=10.0, camera_wrong=2.0, manual=1.0))
    assert (thresholds.camera, thresholds.network) == (0.5, 0.9)


def test_dear_looks_leave_one_threshold() -> None:
    thresholds = Thresholds(Costs(network_wrong=3.0, camera_wrong=1.0, manual=2.0))
    assert (thresholds.camera, thresholds.network) == (0.75, 0.75)
    assert thresholds.decide(0.75) == "network"
    assert thresholds.decide(0.7499) == "camera"


def test_looks_for_nothing_are_taken_unless_the_score_is_certain() -> None:
    thresholds = Thresholds(Costs(1.0, 1.0, 0.0))
    assert [thresholds.decide(p) for p in (0.0, 0.001, 0.999, 1.0)] == [
        *("camera", "manual", "manual", "network")
    ]
