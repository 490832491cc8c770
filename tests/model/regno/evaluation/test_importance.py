"""What the scores depend on: importances, SHAP values that add up, and their plot."""

from pathlib import Path

import numpy as np
import pytest

from model.regno import RegnoScorer
from model.regno.columns.table import columns_of
from model.regno.evaluation import importance
from model.regno.features import NAMES
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import FIELDS, from_fields
from tests.support.labelled import labelled, report, run, write

ROWS = labelled(400)
READINGS = [from_fields(**{name: row[name] for name in FIELDS}) for row in ROWS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run over rows.csv."""
    folder = tmp_path_factory.mktemp("importance")
    write(folder / "rows.csv", ROWS)
    assert run(folder, "--without", "month") == 0
    return folder / "out"


def test_importances_are_those_of_the_model_and_of_its_contributions(trained: Path) -> None:
    ranked = report(trained)["importances"]
    model = BinaryModel.load(trained / "regno.cbm")
    assert {each["feature"]: each["share"] for each in ranked} == pytest.approx(model.importances())
    assert {each["feature"] for each in ranked} == set(NAMES) - {"month"}
    shares = [each["share"] for each in ranked]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100)
    newest = READINGS[340:]
    parts = model.contributions(RegnoScorer(model).rows(newest))
    means = np.abs([part.features for part in parts]).mean(axis=0)
    names = [name for name, _ in model.features]
    expected = dict(zip(names, means.tolist(), strict=True))
    assert {each["feature"]: each["contribution"] for each in ranked} == pytest.approx(expected)


def test_contributions_of_a_table_are_those_of_its_rows(trained: Path) -> None:
    model = BinaryModel.load(trained / "regno.cbm")
    scorer = RegnoScorer(model)
    table = scorer.table.of_columns(columns_of(READINGS[:20]))
    by_row = [part.features for part in model.contributions(scorer.rows(READINGS[:20]))]
    assert model.contributions_of_table(table) == pytest.approx(np.array(by_row), abs=1e-12)


def test_of_many_rows_a_sample_is_explained_and_always_the_same(trained: Path) -> None:
    model = BinaryModel.load(trained / "regno.cbm")
    table = RegnoScorer(model).table.of_columns(columns_of(READINGS))
    first, again = (importance.shap_values(model, table, seed=1) for _ in range(2))
    assert len(first.log_odds) == len(first.table) == importance.ROWS
    assert first.log_odds.tobytes() == again.log_odds.tobytes()
    names = [each.feature for each in importance.importances(model, first)]
    assert importance.beeswarm(first, names) == importance.beeswarm(again, names)


def test_the_report_shows_them(trained: Path) -> None:
    text = (trained / "REPORT.md").read_text(encoding="utf-8")
    ranked = report(trained)["importances"]
    shown = [f"| {each['feature']} | {each['share']:.4f} |" for each in ranked[:15]]
    assert [line for line in shown if line not in text] == []
    assert "](shap.png)" in text
    unused = [each["feature"] for each in ranked if each["share"] == 0]
    assert f"No tree uses: {', '.join(unused)}." in text
    assert (trained / "shap.png").read_bytes().startswith(b"\x89PNG")


def test_dots_of_one_value_lie_beside_each_other() -> None:
    offsets = importance._offsets(np.array([0.5, 0.5, 0.5, 2.0]))
    assert sorted(offsets.tolist()) == pytest.approx([-0.4, 0, 0, 0.4])
    assert not importance._offsets(np.zeros(1)).any()
