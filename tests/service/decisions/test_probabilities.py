"""Weighted measures of probabilities are those of scikit-learn, and of rows that are repeated."""

from math import isnan
from random import Random

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from model.regno.evaluation import metrics
from service.decisions import probabilities
from service.decisions.probabilities import Weighted


def rows(count: int = 400) -> list[Weighted]:
    """Rows with few different scores, both ends among them, and whole weights."""
    random = Random(18)
    scores = [random.randrange(0, 21) / 20 for _ in range(count)]
    return [Weighted(score, random.random() < score, random.randrange(1, 9)) for score in scores]


def test_they_are_those_of_scikit_learn() -> None:
    given = rows()
    scores, labels, weights = (np.array(column) for column in zip(*given, strict=True))
    assert probabilities.auc(given) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
    )
    assert probabilities.log_loss(given) == pytest.approx(
        log_loss(labels, scores.clip(1e-15, 1 - 1e-15), sample_weight=weights), abs=1e-12
    )


def test_a_weight_is_as_many_equal_rows() -> None:
    given = rows()
    repeated = [row for row in given for _ in range(int(row.weight))]
    scores, labels, _ = (np.array(column, dtype=float) for column in zip(*repeated, strict=True))
    assert probabilities.calibration_error(given) == pytest.approx(
        metrics.calibration_error(labels, scores), abs=1e-12
    )
    found, expected = probabilities.reliability(given), metrics.reliability(labels, scores)
    assert [each.weight for each in found] == [each.rows for each in expected]
    assert [each.observed_share for each in found] == pytest.approx(
        [each.observed_share for each in expected], abs=1e-12
    )
    (one,) = probabilities.reliability([Weighted(0.4, is_true=True, weight=2.0)] * 5)
    assert (one.weight, round(one.rows, 12)) == (10.0, 5.0)


def test_without_rows_of_both_kinds_there_is_no_area() -> None:
    assert isnan(probabilities.auc([Weighted(0.5, is_true=True, weight=1.0)]))
    assert isnan(probabilities.log_loss([]))
    assert isnan(probabilities.calibration_error([]))
