"""Venn-ABERS intervals, by hand and by MAPIE's implementation."""

import numpy as np
import pytest
from mapie._venn_abers import VennAbers

from model.regno.evaluation.certainty import venn_abers
from tests.support.vacuous import nonempty


def test_the_row_in_question_is_once_labelled_0_and_once_1() -> None:
    """Nine rows of one score, six of them right: 6 of 10, or 7 of 10."""
    (only,) = venn_abers(np.array([1] * 6 + [0] * 3), np.full(9, 0.5))
    assert only.positive == 0.5
    assert [only.low, only.high] == pytest.approx([0.6, 0.7])
    assert only.width == pytest.approx(0.1)


def test_it_is_what_mapie_computes() -> None:
    rng = np.random.default_rng(4)
    scores = rng.beta(0.6, 0.5, 600)
    labels = (rng.random(600) < scores).astype(int)
    theirs = VennAbers()
    with np.errstate(invalid="ignore"):
        theirs.fit(np.column_stack((1 - scores, scores)), labels)
    scored = nonempty(venn_abers(labels, scores))
    points = np.array([each.positive for each in scored])
    _, expected = theirs.predict_proba(np.column_stack((1 - points, points)))
    assert [each.low for each in scored] == pytest.approx(expected[:, 0], abs=1e-9)
    assert [each.high for each in scored] == pytest.approx(expected[:, 1], abs=1e-9)
