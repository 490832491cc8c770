"""Explanations of whatever model is served: the values that add up, or a reason known at load."""

import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from catboost import CatBoost, Pool, sum_models
from hypothesis import given, settings
from hypothesis import strategies as st

from model import ExplainerGone, NotExplained
from model.regno import Explanation, RegnoScorer
from model.regno.manifest_builder import complete
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import from_fields
from tests.support import toys
from tests.support.paths import GOLDEN, lines

PAIR = toys.NUMERIC_PAIR
READINGS = [from_fields(**line["request"]) for line in lines(GOLDEN)[:8]]
_REASON = "its contributions do not add up to its score, as happens if trees are not symmetric"


def _explained(scorer: RegnoScorer) -> list[Explanation]:
    explainer = scorer.explainer()
    try:
        return scorer.explained(scorer.rows(READINGS), explainer, 60)
    finally:
        explainer.close()


def _values(model: CatBoost) -> Any:
    """CatBoost's own: a row each, with the base at its end, for each class if there are two."""
    return model.get_feature_importance(
        Pool(toys.table(PAIR)[: len(READINGS)]), type="ShapValues", shap_mode="NoPreCalc"
    )


def _assert_are(values: Any, path: Path, positive_class: str = "") -> None:
    scorer = RegnoScorer.load(path, positive_class, warm=True)
    assert scorer.unexplained == ""
    for result, wanted in zip(_explained(scorer), values.tolist(), strict=True):
        by_name = {each.feature: each.contribution for each in result.features}
        assert [by_name[name] for name in PAIR] == pytest.approx(wanted[:-1], abs=1e-12)
        assert result.base == pytest.approx(wanted[-1], abs=1e-12)
        assert result.raw == pytest.approx(sum(wanted), abs=1e-9)
        sides = {1: "network", 0: "neither", -1: "camera"}
        for each in result.features:
            sign = (each.contribution > 0) - (each.contribution < 0)
            assert each.pushes == sides[sign]


def test_two_classes_are_explained_by_the_difference_of_their_contributions(tmp_path: Path) -> None:
    model = toys.classifier(0, 1, loss_function="MultiClass")
    values = _values(model)
    _assert_are(values[:, 1] - values[:, 0], toys.save(model, tmp_path))
    turned = toys.classifier("a", "b", loss_function="MultiClass", class_names=["b", "a"])
    _assert_are(values[:, 1] - values[:, 0], toys.save(turned, tmp_path), "b")


def test_one_against_all_is_explained_by_the_contributions_of_the_positive_class(
    tmp_path: Path,
) -> None:
    model = toys.classifier(0, 1, loss_function="MultiClassOneVsAll")
    _assert_are(_values(model)[:, 1], toys.save(model, tmp_path))


@pytest.mark.parametrize(("scale", "bias"), [(0.5, 0.7), (-2.0, 0.0), (1.0, -0.3), (1e6, 5.0)])
def test_scale_and_bias_are_applied(scale: float, bias: float, tmp_path: Path) -> None:
    model = toys.classifier(0, 1)
    values = scale * _values(model)
    values[:, -1] += bias
    model.set_scale_and_bias(scale, [bias])
    _assert_are(values, toys.save(model, tmp_path))


def test_scale_and_bias_of_each_class_are_applied(tmp_path: Path) -> None:
    model = toys.classifier(0, 1, loss_function="MultiClass")
    values = 3.0 * _values(model)
    values[:, :, -1] += [0.5, -1.5]
    model.set_scale_and_bias(3.0, [0.5, -1.5])
    _assert_are(values[:, 1] - values[:, 0], toys.save(model, tmp_path))


def test_to_explain_a_scaled_model_changes_none_of_its_scores(tmp_path: Path) -> None:
    model = toys.classifier(0, 1)
    model.set_scale_and_bias(0.5, [0.7])
    loaded = BinaryModel.load(toys.save(model, tmp_path))
    rows = toys.table(PAIR)[:4]
    before = loaded.probabilities(rows)
    first, again = loaded.contributions(rows), loaded.contributions(rows)
    assert first == again
    assert loaded.probabilities(rows) == before


@pytest.mark.parametrize(
    "options",
    [
        {"loss_function": "CrossEntropy"},
        {"loss_function": "Focal:focal_alpha=0.5;focal_gamma=2"},
        {"boost_from_average": True},
    ],
)
def test_other_losses_are_explained_as_catboost_does(
    options: dict[str, Any], tmp_path: Path
) -> None:
    model = toys.classifier(0, 1, **options)
    _assert_are(_values(model), toys.save(model, tmp_path))


def test_a_sum_of_models_is_explained(tmp_path: Path) -> None:
    model = sum_models([toys.classifier(0, 1), toys.classifier(0, 1, depth=2)], weights=[0.5, 0.5])
    _assert_are(_values(model), toys.save(model, tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"grow_policy": "Depthwise"},
        {"grow_policy": "Lossguide"},
        {"grow_policy": "Lossguide", "loss_function": "MultiClass", "depth": 6},
    ],
)
def test_trees_whose_contributions_do_not_add_up_are_known_at_load(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = toys.save(toys.classifier(0, 1, **options), tmp_path)
    scorer = RegnoScorer.load(path, warm=True)
    assert scorer.unexplained == _REASON
    with pytest.raises(NotExplained, match=_REASON):
        _explained(scorer)
    assert complete(scorer, path).unexplained == _REASON


def test_trees_that_are_not_symmetric_are_explained_where_it_can_be_done(tmp_path: Path) -> None:
    """What CatBoost gives is right whenever it adds up, as of trees with one question each."""
    model = toys.classifier(0, 1, grow_policy="Depthwise", depth=1)
    _assert_are(_values(model), toys.save(model, tmp_path))
    of_two = toys.classifier(0, 1, grow_policy="Depthwise", loss_function="MultiClass")
    values = _values(of_two)
    _assert_are(values[:, 1] - values[:, 0], toys.save(of_two, tmp_path))


@settings(max_examples=15)
@given(
    st.sampled_from(["Depthwise", "Lossguide"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(
        st.sampled_from(["hour", "afts_regno_ai_score", "ai_len", "min_sym_score", "cam_len"]),
        min_size=1,
        max_size=5,
        unique=True,
    ),
)
def test_one_row_reports_of_all(
    tmp_path_factory: pytest.TempPathFactory,
    policy: str,
    depth: int,
    iterations: int,
    names: Sequence[str],
) -> None:
    model = toys.train(names, grow_policy=policy, depth=depth, iterations=iterations)
    path = toys.save(model, tmp_path_factory.getbasetemp())
    scorer = RegnoScorer.load(path, warm=True)
    rows = scorer.rows([from_fields(**line["request"]) for line in lines(GOLDEN)[:60]])
    outcomes = set()
    for row, part in zip(rows, scorer._model.contributions(rows), strict=True):
        try:
            scorer._explanations([row], [part])
        except NotExplained as reason:
            outcomes.add(str(reason))
        else:
            outcomes.add("")
    assert outcomes == {scorer.unexplained}


@contextmanager
def _limited_to(files: int) -> Iterator[None]:
    """Within, this process may open so many files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    free = (number for number in range(soft) if number not in taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (list(islice(free, files + 1))[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# The ends of a connection, the model's file, what its streams are: each may be one too many.
@pytest.mark.parametrize("files", [0, 1, 2, 3, 4])
def test_without_files_for_a_process_there_is_none_now_and_one_later(
    files: int, scorer: RegnoScorer
) -> None:
    rows = scorer.rows(READINGS[:1])
    explainer = scorer.explainer()
    reason = "^no process for it can be made: Too many open files$"
    with _limited_to(files), pytest.raises(ExplainerGone, match=reason):
        scorer.explained(rows, explainer, 60)
    assert len(scorer.explained(rows, explainer, 60)) == 1
    explainer.close()


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (signal.SIGSEGV, NotExplained, r"its process ended \(signal 11\)"),
        (signal.SIGABRT, NotExplained, r"its process ended \(signal 6\)"),
        (signal.SIGKILL, ExplainerGone, "its process ended"),  # as without memory
    ],
)
def test_the_error_names_what_ends_a_process_twice(
    number: signal.Signals,
    kind: type[NotExplained],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nkill -{number.value} $$\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    explainer = RegnoScorer.load().explainer()
    with pytest.raises(NotExplained, match=rf"^{reason}$") as caught:
        explainer.contributions([], 60)
    assert caught.type is kind
