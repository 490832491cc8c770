"""Risk control: the guarantee holds as often as it says, and is not bought by deciding nothing."""

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController

from model.regno.evaluation import risk_control
from model.regno.evaluation.risk_control import Limits, control

REPETITIONS = 200
LIMITS = Limits(camera=0.05, network=0.03, confidence=0.95)


def population(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores that are too sure: the true probability is nearer one half."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.25, 0.2, rows)
    truth = 1 / (1 + ((1 - scores) / np.maximum(scores, 1e-300)) ** 0.8)
    return (rng.random(rows) < truth).astype(int), scores


@pytest.fixture(scope="module")
def everything() -> tuple[np.ndarray, np.ndarray]:
    return population(200_000, seed=1)


def naive(labels: np.ndarray, scores: np.ndarray, limit: float) -> float:
    """The lowest network's threshold whose decisions on the same rows keep the limit."""
    order = np.argsort(-scores)
    wrong = np.cumsum(1 - labels[order]) / np.arange(1, labels.size + 1)
    return float(scores[order][np.flatnonzero(wrong <= limit)[-1]])


def test_the_guarantee_is_broken_no_more_often_than_it_says(
    everything: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = everything
    rng = np.random.default_rng(2)
    broken, naively, manual = 0, 0, []
    for _ in range(REPETITIONS):
        drawn = rng.integers(labels.size, size=4000)
        made = control(labels[drawn], scores[drawn], LIMITS, seed=int(rng.integers(2**31)))
        errors = risk_control.errors(labels, scores, made)
        broken += risk_control.broken(errors, LIMITS)
        manual.append(errors.manual)
        beyond = scores >= naive(labels[drawn], scores[drawn], LIMITS.network)
        naively += (labels[beyond] == 0).mean() > LIMITS.network
    assert broken <= (1 - LIMITS.confidence) * REPETITIONS
    assert naively > 0.3 * REPETITIONS
    assert np.median(manual) < 0.75


def test_many_rows_come_near_the_limits(everything: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = everything
    made = control(labels, scores, LIMITS, seed=1)
    errors = risk_control.errors(labels, scores, made)
    assert 0.7 * LIMITS.network < errors.network <= LIMITS.network
    assert 0.7 * LIMITS.camera < errors.camera <= LIMITS.camera


def test_no_more_is_guaranteed_than_few_rows_can_show() -> None:
    """240 tested rows without one error show that fewer than 2 % are wrong, but not than 1 %."""
    labels = np.r_[np.zeros(300, dtype=int), np.ones(300, dtype=int)]
    made = control(labels, labels * 0.8 + 0.1, Limits(0.02, 0.01, 0.95), seed=1)
    assert made.network.threshold is None
    assert made.camera.threshold is not None
    assert not made.complete


def test_the_bound_is_that_of_theory() -> None:
    """Without an error the bound solves (1 - bound) ** n = allowed."""
    labels = np.r_[np.zeros(3000, dtype=int), np.ones(3000, dtype=int)]
    made = control(labels, labels * 0.8 + 0.1, LIMITS, seed=1)
    assert made.network.wrong == 0
    assert (1 - made.network.bound) ** made.network.decided == pytest.approx(0.025)
    assert made.camera.threshold is not None
    assert made.network.threshold is not None
    assert 0.1 <= made.camera.threshold < made.network.threshold <= 0.9
    assert risk_control.errors(labels, labels * 0.8 + 0.1, made) == (0, 0, 0)


def test_limits_that_both_sides_keep_everywhere_leave_nothing_to_people(
    everything: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = everything
    made = control(labels, scores, Limits(0.9, 0.9, 0.95), seed=1)
    assert risk_control.errors(labels, scores, made).manual == 0


def test_every_threshold_that_mapie_finds_is_guaranteed_too(
    everything: tuple[np.ndarray, np.ndarray],
) -> None:
    """With MAPIE's bound, which is looser than the binomial one, for the network's side alone."""
    labels, scores = (each[:20_000] for each in everything)
    grid = np.linspace(0.999, 0.5, 100)
    theirs = BinaryClassificationController(
        predict_function=lambda p: np.column_stack((1 - p, p)),
        risk="precision",
        target_level=0.95,
        confidence_level=0.975,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    ).calibrate(scores, labels)
    errors = risk_control._Counts.of(labels, scores, grid[::-1])
    p_values = risk_control._p_values(errors.network, 0.05)[::-1]
    last = risk_control._walk(range(grid.size), p_values, 0.025)
    assert last is not None
    assert theirs.valid_predict_params.size > 10
    assert grid[last] <= theirs.valid_predict_params.min()
    assert grid[last] == pytest.approx(theirs.valid_predict_params.min(), abs=0.02)
