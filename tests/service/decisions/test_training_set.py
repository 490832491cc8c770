"""A training set of labelled decisions: what was known in time, each request once, trainable."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

from model.regno import golden
from service.decisions import training_set
from service.decisions.__main__ import main
from service.decisions.choice import condition
from service.decisions.decision import Feedback
from service.decisions.log import DecisionLog
from service.decisions.training_set import Known
from tests.support import tables
from tests.support.commands import run_module
from tests.support.decisions import REGNO, add_labelled, decision, opened

START = 1_764_000_000.0
CUT = START + 100


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    made = DecisionLog(tmp_path / "log")
    yield made
    made.close()


def ids(log: DecisionLog, known: Known, **chosen: Any) -> list[str]:
    found = training_set.examples(log, condition(**chosen), known).found
    return [one.cells["request_id"] for one in found]


def test_a_label_after_the_cut_does_not_belong_to_a_decision_before_it(log: DecisionLog) -> None:
    add_labelled(log, 0, "network", START + 50, time=START)
    add_labelled(log, 1, "network", CUT + 50, time=START + 1)
    add_labelled(log, 2, "camera", CUT + 60, time=CUT)
    log.record([Feedback(CUT + 1, "request-0", 0, "camera", "s")])
    assert ids(log, Known()) == ["request-0", "request-1", "request-2"]
    known = Known(cut=CUT)
    found, left_out = training_set.examples(log, condition(), known)
    assert [one.cells["request_id"] for one in found] == ["request-0", "request-2"]
    assert [known.is_early(one.time) for one in found] == [True, False]
    # The label that was known at the cut, and not the later one that replaced it.
    assert [one.cells["label"] for one in found] == [1, 0]
    assert left_out["labels came too late"] == 1
    assert ids(log, Known(until=CUT + 55)) == ["request-0", "request-1"]
    assert ids(log, Known(), since=START + 1, until=CUT) == ["request-1"]


def test_a_request_is_there_once_and_by_its_weight(log: DecisionLog) -> None:
    add_labelled(log, 0, "network", START, decision="network", audit_probability=0.01)
    add_labelled(log, 0, "network", START + 1, decision="network", audit_probability=0.01)
    add_labelled(log, 1, "camera", START, decision="manual", audit_probability=0.01)
    add_labelled(log, 2, "camera", START, decision="camera", audited=False)
    add_labelled(log, 3, "neither", START, decision="manual")
    with log.locked():
        log.forget(REGNO.mark(golden.readings()[3].afts_regno_ai))
    found, left_out = training_set.examples(log, condition(), Known())
    weights = {one.cells["request_id"]: one.cells["weight"] for one in found}
    assert weights == {"request-0": pytest.approx(100), "request-1": 1}
    expected = {"no audit drew them": 1, "repeat another": 1, "forgotten": 1}
    assert +left_out == expected


def test_an_id_that_is_used_again_has_its_own_label(log: DecisionLog) -> None:
    add_labelled(log, 0, "network", START)
    other = Raw(REGNO.json_of(golden.readings()[5]))
    log.append([opened(log, decision(0, request=other, audited=True))])
    found, _ = training_set.examples(log, condition(), Known())
    assert [one.cells["regno_recognize"] for one in found] == [golden.readings()[0].regno_recognize]


def test_one_file_is_not_written_over_the_other(
    log: DecisionLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_labelled(log, 0, "network", START, decision="manual")
    monkeypatch.setenv("SCORING_DECISIONS_DIR", str(log.folder))
    monkeypatch.chdir(log.folder.parent)
    assert main(["training-set", "a.csv", "--cut", "1d", "--held-out", "./a.csv"]) == 2
    assert "--held-out: must be another file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_model_trains_on_it(log: DecisionLog, tmp_path: Path) -> None:
    for number, row in enumerate(tables.samples(400)):
        outcome = "network" if row["afts_regno_ai_score"] > 0.5 else "camera"
        request = Raw(json.dumps(row, ensure_ascii=False).encode())
        side = "manual" if number % 3 else "camera"
        add_labelled(log, number, outcome, START + number, time=START + number, request=request,
                     decision=side)  # fmt: skip
    settings = {"SCORING_DECISIONS_DIR": str(log.folder)}
    cut = ("--cut", "2025-11-24T16:05:00", "--held-out", str(tmp_path / "later.parquet"))
    early = tmp_path / "early.csv"
    made = run_module(
        tmp_path, "service.decisions", "training-set", str(early), *cut, settings=settings
    )
    assert made.returncode == 0, made.stderr
    assert "early.csv: 300 rows" in made.stdout
    assert len(pd.read_parquet(tmp_path / "later.parquet")) == 100
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.*")} == {0o600}
    parameters = tmp_path / "parameters.toml"
    parameters.write_text("[split]\nvalidation = 0.2\nheld_out = 0.2\n[catboost]\niterations = 3\n")
    parameters.chmod(0o600)
    arguments = ("--weights", "weight", "--parameters", str(parameters), "--no-progress")
    trained = run_module(
        tmp_path, "model.train", "--data", str(early), *arguments, "--out", str(tmp_path / "made")
    )
    assert trained.returncode == 0, trained.stderr
    manifest = json.loads((tmp_path / "made/manifest.json").read_text(encoding="utf-8"))
    assert manifest["training"]["data"]["rows"] == 300
