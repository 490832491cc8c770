"""Weighted error rates hold what they promise, unweighted ones do not; the sequential test may be
looked at daily."""

from random import Random

import pytest

from service.decisions.quality import Evidence, Labelled, error_rate, weighted_rate, wilson

MONTHS = 500


def month(random: Random, count: int = 20_000) -> tuple[float, list[Labelled]]:
    """The true error rate of a month's automatic decisions, and the labels that came.

    The surer the model, the rarer are errors. Half of the unsure automatic decisions are looked at
    besides, as after complaints, and have no known probability.
    """
    wrong, automatic, labelled = 0, 0, []
    for _ in range(count):
        unsure = random.random() < 0.1
        is_wrong = random.random() < (0.12 if unsure else 0.01)
        automatic += 1
        wrong += is_wrong
        audited = random.random() < 0.05
        if audited or (unsure and random.random() < 0.5):
            outcome = "network" if is_wrong else "camera"
            labelled.append(Labelled("camera", outcome, 0.05 * audited))
    return wrong / automatic, labelled


def test_the_weighted_interval_covers_the_truth_and_the_plain_one_does_not() -> None:
    random, covered, plain_covered = Random(18), 0, 0
    for _ in range(MONTHS):
        truth, labelled = month(random, 4_000)
        rate = error_rate(labelled)
        assert rate is not None
        covered += rate.low <= truth <= rate.high
        plain = weighted_rate([(1.0, one.is_wrong) for one in labelled])
        assert plain is not None
        plain_covered += plain.low <= truth <= plain.high
    assert 0.93 <= covered / MONTHS <= 0.97
    assert plain_covered / MONTHS < 0.5


def test_labels_of_different_probabilities_are_weighted_by_each() -> None:
    labelled = [
        Labelled("network", "camera", 0.01),
        Labelled("network", "network", 0.01),
        Labelled("camera", "camera", 0.5),
        Labelled("camera", "network", 0.0),
        Labelled("manual", "camera", 0.01),
    ]
    rate = error_rate(labelled)
    assert rate is not None
    assert rate.value == pytest.approx(100 / 202)
    assert rate.labels == 3
    assert rate.low < rate.value < rate.high


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    # By R's prop.test(…, correct = FALSE).
    [(0.1, 100, 0.05522914, 0.1743657), (0.0, 20, 0.0, 0.1611252), (1.0, 20, 0.8388748, 1.0)],
)
def test_wilsons_interval(share: float, count: float, low: float, high: float) -> None:
    assert wilson(share, count) == pytest.approx((low, high), abs=1e-6)


def test_without_audited_labels_there_is_no_rate() -> None:
    assert error_rate([]) is None
    assert error_rate([Labelled("camera", "network", 0.0)]) is None


def quiet_year(random: Random, rate: float, limit: float) -> bool:
    """Whether a year of labels, ten a day, raises an alarm on any day."""
    evidence = Evidence(limit)
    for _ in range(3_650):
        evidence.add(random.random() < rate)
        if evidence.is_broken:
            return True
    return False


def test_a_quiet_year_alarms_falsely_in_five_of_a_hundred_at_the_most() -> None:
    random = Random(19)
    alarms = sum(quiet_year(random, 0.02, 0.02) for _ in range(400))
    assert alarms / 400 <= 0.05


def test_twice_the_errors_are_found_within_a_year() -> None:
    random = Random(20)
    assert sum(quiet_year(random, 0.04, 0.02) for _ in range(100)) >= 95
