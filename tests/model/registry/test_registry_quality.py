"""`promote` and `compare` with labelled rows: which version is better; without: how they differ."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.registry import Registry
from model.regno import RegnoScorer
from model.regno.evaluation import metrics
from model.regno.evaluation.bootstrap import differences
from model.regno.evaluation.comparison import learnt_until
from tests.support.labelled import labelled, scores, write
from tests.support.messages import mentions, states
from tests.support.registry import Run, runner
from tests.support.swapping import FIRST, SECOND, registry_of_twins, registry_of_two

ROWS = labelled(600)
LABELS = np.array([row["label"] for row in ROWS])
_OPTION = re.compile(r"--[a-z-]+")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, on the registry in `models`."""
    return runner(tmp_path / "models", monkeypatch, capsys)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The bundled model, `first`, is live; `second` is a small one, which is worse."""
    return registry_of_two(tmp_path)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Labelled rows."""
    return write(tmp_path / "rows.csv", ROWS)


def _positives(registry: Registry, version: str) -> Any:
    return np.array(scores(registry.fetch(version), ROWS))


@pytest.mark.slow
def test_a_version_that_labels_show_to_be_better_may_decide_otherwise(
    run: Run, registry: Registry, rows: Path
) -> None:
    registry.promote(SECOND, who="the tests")
    status, output, _ = run("promote", FIRST)
    assert status == 1
    status, output, _ = run("promote", FIRST, "--rows", rows, "--json")
    assert status == 0
    quality = json.loads(output)["quality"]
    assert (quality["verdict"], quality["rows"]) == ("better", 600)
    new, old = _positives(registry, FIRST), _positives(registry, SECOND)
    made = quality["comparison"]
    expected = differences(LABELS, new, old, 1)["auc"]
    assert made["measures"]["auc"]["new"] == pytest.approx(metrics.auc(LABELS, new))
    assert made["measures"]["auc"]["low"] == pytest.approx(expected.low)
    assert made["measures"]["auc"]["high"] == pytest.approx(expected.high)
    flipped = (new > 0.5) != (old > 0.5)
    rightly = flipped & ((new > 0.5) == (LABELS == 1))
    assert (made["flips"], made["rightly"]) == (flipped.sum(), rightly.sum())
    assert made["version"] == SECOND
    assert registry.aliases().live == FIRST
    assert registry.history()[-1].forced == ""


@pytest.mark.slow
def test_a_version_that_labels_show_to_be_worse_is_lifted_by_force_only(
    run: Run, registry: Registry, rows: Path
) -> None:
    named = ("--rows", rows, "--label", "label", "--accept-flips", "--max-slowdown", "100")
    status, output, errors = run("promote", SECOND, *named)
    assert status == 1
    assert mentions(output, "worse", FIRST, "AUC: -")
    head, auc, auc_remedy, loss, loss_remedy = errors.splitlines()
    assert states(head, "python -m model.registry: ", "refused")
    assert mentions(auc, "worse", FIRST, "AUC")
    assert mentions(loss, "worse", FIRST, "log loss")
    assert _OPTION.findall(auc_remedy) == _OPTION.findall(loss_remedy) == ["--force"]
    assert registry.aliases().live == FIRST
    assert run("promote", SECOND, *named, "--force")[0] == 0
    assert mentions(registry.history()[-1].forced, "worse", FIRST, "AUC: -")
    assert mentions(run("history")[1], "FORCED", "worse", FIRST)


@pytest.mark.slow
def test_a_version_that_may_have_learnt_from_the_rows_is_named(
    run: Run, rows: Path, tmp_path: Path
) -> None:
    """The first row is of this second; the other version does not say up to when it learnt."""
    last = "2021-03-01 06:00:00"
    registry = registry_of_twins(tmp_path, training={"last": last})
    shown = run("compare", FIRST, SECOND, "--rows", rows)[1]
    (line,) = [line for line in shown.splitlines() if "learnt from" in line]
    assert mentions(line, SECOND, last)
    scorer = RegnoScorer.load(registry.fetch(SECOND))
    assert learnt_until(scorer, "2021-03-01T06:00:00") == last
    assert learnt_until(scorer, "2021-03-01T06:00:01") == ""


@pytest.mark.slow
def test_each_refusal_says_what_lifts_it(run: Run, registry: Registry) -> None:
    status, _, errors = run("promote", SECOND, "--max-slowdown", "0")
    assert status == 1
    reasons, remedies = errors.splitlines()[1::2], errors.splitlines()[2::2]
    assert len(reasons) == len(remedies)
    options = [_OPTION.findall(remedy) for remedy in remedies]
    assert ["--accept-flips", "--max-flips"] in options
    assert ["--accept-flips", "--max-difference"] in options
    assert ["--max-slowdown"] in options
    assert not any(_OPTION.search(reason) for reason in reasons)
    status, _, errors = run("promote", SECOND, "--max-slowdown", "0", "--accept-flips")
    assert status == 1
    assert [_OPTION.findall(line) for line in errors.splitlines()[2::2]] == [["--max-slowdown"]]
    assert run("promote", SECOND, "--max-slowdown", "100", "--accept-flips")[0] == 0
    assert registry.history()[-1].forced == ""
    assert registry.aliases().live == SECOND


@pytest.mark.slow
def test_labels_do_not_separate_equal_versions_and_parity_decides(
    run: Run, tmp_path: Path, rows: Path
) -> None:
    registry = registry_of_twins(tmp_path)
    status, output, _ = run("promote", SECOND, "--rows", rows)
    assert status == 0
    assert mentions(output, "not clearly better", FIRST, "AUC: +0.0000 [+0.0000, +0.0000]")
    assert mentions(output, "0 of 0 rows", "decided differently")
    assert registry.aliases().live == SECOND


@pytest.mark.slow
def test_two_versions_are_compared_without_a_change(
    run: Run, registry: Registry, rows: Path
) -> None:
    before = registry.aliases()
    status, output, _ = run("compare", FIRST, SECOND, "--rows", rows)
    assert status == 0
    assert mentions(output, "worse", FIRST, "AUC: -")
    (head,) = [line for line in output.splitlines() if line.startswith("METRIC")]
    assert head.split()[1:4] == [FIRST, SECOND, "DIFFERENCE"]
    (auc,) = [line for line in output.splitlines() if line.startswith("auc ")]
    old, new = (f"{metrics.auc(LABELS, _positives(registry, v)):.4f}" for v in (FIRST, SECOND))
    assert auc.split()[1:3] == [old, new]
    result = json.loads(run("compare", SECOND, FIRST, "--json")[1])
    assert (result["parity"]["live"], result["parity"]["candidate"]) == (SECOND, FIRST)
    assert result["quality"] is None
    assert registry.aliases() == before
    assert run("compare", FIRST, "none")[0] == 1


@pytest.mark.parametrize(
    ("label", "changed", "reason"),
    [("truth", {}, "truth"), ("label", {"label": 1}, "labels of both kinds")],
)
def test_labels_that_are_none_are_an_error(
    label: str,
    changed: dict[str, Any],
    reason: str,
    run: Run,
    tmp_path: Path,
) -> None:
    registry_of_twins(tmp_path)
    path = write(tmp_path / "rows.csv", [{**row, **changed} for row in ROWS[:20]])
    status, _, errors = run("promote", SECOND, "--rows", path, "--label", label)
    assert (status, reason in errors) == (65, True)


@pytest.mark.parametrize(
    ("labels", "options"), [((0, 1), ()), (("нет", "да"), ("--positive", "Да"))]
)
def test_rows_without_a_usable_label_are_counted_and_left_out(
    labels: tuple[object, object], options: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    registry_of_twins(tmp_path)
    changed = {3: "", 5: "", 7: "maybe"}
    rows = [{**row, "label": changed.get(n, labels[row["label"]])} for n, row in enumerate(ROWS)]
    path = write(tmp_path / "rows.csv", rows)
    status, output, _ = run("compare", FIRST, SECOND, "--rows", path, *options, "--json")
    result = json.loads(output)
    assert (status, result["quality"]["rows"]) == (0, 597)
    (remark,) = [line for line in result["remarks"] if "label" in line]
    assert states(remark, f"3 of 600 rows of {path} ", "2 × label: ", "empty")
    status, output, _ = run("promote", SECOND, "--rows", path, *options)
    assert (status, remark in output) == (0, True)


@pytest.mark.parametrize("options", [(), ("--label", "label"), ("--positive", "yes")])
def test_a_column_that_is_empty_everywhere_counts_as_none(
    options: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    registry = registry_of_twins(tmp_path)
    path = write(tmp_path / "rows.csv", [{**row, "label": ""} for row in ROWS[:20]])
    status, output, _ = run("promote", SECOND, "--rows", path, *options, "--json")
    result = json.loads(output)
    assert (status, result["quality"], registry.aliases().live) == (0, None, SECOND)
    assert any(states(remark, "label ", "empty", str(path)) for remark in result["remarks"])


def test_labels_in_words_need_the_option_and_the_refusal_names_it(run: Run, tmp_path: Path) -> None:
    registry_of_twins(tmp_path)
    path = write(tmp_path / "rows.csv", [{**row, "label": "yes"} for row in ROWS[:20]])
    status, _, errors = run("promote", SECOND, "--rows", path)
    assert status == 65
    assert "20 of 20 rows" in errors
    assert "--positive" in errors
    status, _, errors = run("promote", SECOND, "--rows", path, "--positive", "no")
    assert (status, mentions(errors, "label", "'no'")) == (65, True)


def test_what_is_said_of_rows_needs_rows(run: Run) -> None:
    for option in ("--label", "--positive"):
        with pytest.raises(SystemExit) as stop:
            run("compare", FIRST, SECOND, option, "x")
        assert stop.value.code == 2


def test_without_the_packages_of_training_labelled_rows_name_the_extra(
    run: Run, tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry_of_twins(tmp_path)

    def missing(*_: object) -> None:
        raise ModuleNotFoundError(name="scipy")

    monkeypatch.setattr("model.regno.model._verdict", missing)
    status, _, errors = run("promote", SECOND, "--rows", rows)
    assert status == 69
    assert mentions(errors, "scipy", "extra `train`")


@pytest.mark.slow
def test_a_handful_of_labels_decides_nothing(run: Run, registry: Registry, tmp_path: Path) -> None:
    registry.promote(SECOND, who="the tests")
    status, output, _ = run("promote", FIRST, "--rows", write(tmp_path / "few.csv", ROWS[:40]))
    assert status == 1
    assert "too few rows" in output
    assert registry.aliases().live == SECOND
