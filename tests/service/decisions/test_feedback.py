"""Labels that come later: taken from a file, kept with the decisions, and measured."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from model.regno import golden
from service.decisions import quality_report
from service.decisions.decision import Feedback, decode
from service.decisions.feedback import Taken, Unusable, take
from service.decisions.groups import Groups
from service.decisions.log import DecisionLog
from service.decisions.quality import Rate
from service.decisions.quality_report import Measurement
from tests.support.decisions import REGNO, decision, opened
from tests.support.planted import PLATE

HOW = Measurement({"network_wrong": 10.0, "camera_wrong": 4.0}, 0.01, Groups())
AUDITED = {"audited": True, "audit_probability": 0.5}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A log with four automatic decisions, all drawn for review, and one manual one."""
    made = DecisionLog(tmp_path / "log")
    sides = ("camera", "network", "camera", "network", "manual")
    made.append(
        [opened(made, decision(at, decision=side, **AUDITED)) for at, side in enumerate(sides)]
    )
    yield made
    made.close()


def labels(folder: Path, text: str) -> Path:
    """A file of labels."""
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_are_entries_and_the_latest_counts(log: DecisionLog, tmp_path: Path) -> None:
    path = labels(tmp_path, "request_id,outcome\nrequest-0,network\nrequest-1,network\nx,camera\n")
    assert take(log, path, "court") == Taken(2, 1, 0)
    assert take(log, labels(tmp_path, "request_id,row,outcome\nrequest-0,0,camera\n"), "").labelled
    found = {row.request_id: outcome for row, outcome in log.store.labelled()}
    assert found == {"request-0": "camera", "request-1": "network"}
    entry = decode(log.canonical(log.find("#5")))
    assert isinstance(entry, Feedback)
    assert (entry.request_id, entry.outcome, entry.source) == ("request-0", "network", "court")
    assert list(log.check()) == []


def test_a_source_that_corrects_itself_may_be_sent_again(log: DecisionLog, tmp_path: Path) -> None:
    path = labels(tmp_path, "request_id,outcome\nrequest-0,network\nrequest-0,camera\n")
    assert take(log, path, "court") == Taken(1, 0, 0, 1)
    assert take(log, path, "court") == Taken(0, 0, 0, 2)
    assert [outcome for _, outcome in log.store.labelled()] == ["camera"]


def test_a_source_that_holds_a_plate_is_kept_without_it(log: DecisionLog, tmp_path: Path) -> None:
    path = labels(tmp_path, "request_id,outcome\nrequest-0,network\n")
    assert take(log, path, f"complaint {PLATE}.csv").labelled == 1
    entry = decode(log.canonical(log.find("#5")))
    assert isinstance(entry, Feedback)
    assert entry.source.startswith("complaint ")
    log.close()
    files = [path.read_bytes() for path in log.folder.rglob("*") if path.is_file()]
    assert not any(PLATE.encode() in content for content in files)


def test_a_true_reading_says_whose_was_right(log: DecisionLog, tmp_path: Path) -> None:
    first, second, third = golden.readings()[:3]
    text = (
        f"request_id,true_reading\nrequest-0,{first.afts_regno_ai.lower()}\n"
        f"request-1,{second.regno_recognize}\nrequest-2,А000АА00\n"
    )
    assert third.afts_regno_ai != "А000АА00"
    take(log, labels(tmp_path, text), "s")
    found = {row.request_id: outcome for row, outcome in log.store.labelled()}
    assert found == {"request-0": "network", "request-1": "camera", "request-2": "neither"}
    stored = b"".join(each.read_bytes() for each in log.folder.rglob("*") if each.is_file())
    assert "А000АА00".encode() not in stored


def test_forgotten_decisions_take_no_reading_and_keep_their_label(
    log: DecisionLog, tmp_path: Path
) -> None:
    take(log, labels(tmp_path, "request_id,outcome\nrequest-0,network\n"), "s")
    with log.locked():
        log.forget(REGNO.mark(golden.readings()[0].afts_regno_ai))
    assert take(log, labels(tmp_path, "request_id,true_reading\nrequest-0,x\n"), "s").forgotten == 1
    found = quality_report.measured(log, "1", (), HOW)
    rate = found.by["decision"]["camera"].errors
    assert list(found.by["class"]) == ["not known"]
    assert rate is not None
    assert (rate.value, rate.labels) == (1.0, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("request_id\nrequest-0\n", "outcome or true_reading"),
        ("outcome\nnetwork\n", "request_id"),
        ("request_id,outcome\nrequest-0,right\n", "line 2: outcome must be one of"),
        ("request_id,outcome,row\nrequest-0,camera,x\n", "line 2: row must be a whole number"),
        (f"request_id,outcome,row\nrequest-0,camera,{2**63}\n", "line 2: row must be a whole"),
        ("request_id,outcome\nrequest-1,camera\nrequest-0,\n", "line 3: outcome"),
    ],
)
def test_a_file_that_can_not_be_used_adds_nothing(
    log: DecisionLog, tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(Unusable) as raised:
        take(log, labels(tmp_path, text), "s")
    assert reason in str(raised.value)
    assert (list(log.store.labelled()), log.store.size) == ([], 5)


def test_a_file_that_is_not_there_is_no_fault_of_the_log(log: DecisionLog, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        take(log, tmp_path / "missing.csv", "s")


def test_the_report_weights_by_the_audit(log: DecisionLog, tmp_path: Path) -> None:
    log.append([opened(log, decision(9, decision="camera"))])
    outcomes = ("camera", "camera", "neither", "network", "camera")
    rows = "".join(f"request-{at},{outcome}\n" for at, outcome in enumerate(outcomes))
    take(log, labels(tmp_path, f"request_id,outcome\n{rows}request-9,network\n"), "s")
    found = quality_report.measured(log, "version = ?", ("v1",), HOW)
    every = found.every.errors
    assert found.by["version"] == {"v1": found.every}
    assert isinstance(every, Rate)
    assert (every.value, every.labels) == (0.5, 4)
    assert found.left_out == 1
    assert found.evidence.wealth > 1
    assert "decision camera" in quality_report.text(found)
    assert quality_report.measured(log, "time < ?", (0,), HOW).every.errors is None
