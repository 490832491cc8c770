"""The quality of a log's decisions: exact figures by day, class, version and decision."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from model.regno import golden
from service.decisions import quality_report
from service.decisions.decision import Feedback
from service.decisions.groups import Groups
from service.decisions.log import DecisionLog
from service.decisions.quality_report import MOST_CLASSES, OTHERS, Measured, Measurement
from tests.support.commands import run_module
from tests.support.decisions import REGNO, add_labelled

DAY = datetime(2026, 11, 30, tzinfo=UTC).timestamp()


def measured(log: DecisionLog, newest: int = -1) -> Measured:
    how = Measurement({"network_wrong": 10.0, "camera_wrong": 4.0}, 0.01, Groups(), newest)
    return quality_report.measured(log, "1", (), how)


def of_class(name: str, number: int = 0) -> Raw:
    """The request of a reading by a camera of this class."""
    return Raw(REGNO.json_of(msgspec.structs.replace(golden.readings()[number], camera_class=name)))


def add(log: DecisionLog, number: int, outcome: str, **changed: Any) -> None:
    """Add a decision and its label, in the order of their numbers."""
    add_labelled(log, number, outcome, DAY + number, **{"time": DAY, **changed})


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """Five decisions of two versions, classes and days."""
    made = DecisionLog(tmp_path / "log")
    later = {"time": DAY + 86_400, "version": "v2"}
    add(made, 0, "network", decision="network", positive=0.9, request=of_class("A"))
    add(made, 1, "camera", decision="network", positive=0.8, request=of_class("A"))
    add(made, 2, "camera", decision="camera", positive=0.1, request=of_class("B"), **later)
    add(made, 3, "neither", decision="camera", positive=0.2, audit_probability=0.25,
        request=of_class("B"), **later)  # fmt: skip
    add(made, 4, "network", decision="manual", positive=0.5, request=of_class("B"), **later)
    yield made
    made.close()


def test_figures_are_weighted_by_each_draw(log: DecisionLog) -> None:
    found = measured(log)
    assert found.every.errors is not None
    # Two of the weight 2 are right, one is wrong, as is one of the weight 4.
    assert found.every.errors.value == pytest.approx(6 / 10)
    assert found.every.cost == pytest.approx((2 * 10 + 4 * 4) / 10)
    # Of the weights, 2 and 2 were the network's; those with lower scores count.
    assert found.every.auc == pytest.approx((2 * 8 + 2 * 6) / (4 * 8))
    assert {name: list(by) for name, by in found.by.items()} == {
        "decision": ["camera", "manual", "network"],
        "version": ["v1", "v2"],
        "class": ["A", "B"],
        "day": ["2026-11-30", "2026-12-01"],
    }
    by_version = found.by["version"]
    assert found.by["class"]["A"] == found.by["day"]["2026-11-30"] == by_version["v1"]
    assert by_version["v1"].cost == 5.0
    assert by_version["v2"].cost == pytest.approx(4 * 4 / 6)
    manual = found.by["decision"]["manual"]
    assert (manual.errors, isnan(manual.cost)) == (None, True)
    assert manual.calibration_error == 0.5


def test_classes_beyond_a_number_are_one(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log")
    for number in range(MOST_CLASSES + 2):
        name = f"class-{number}" if number else "А123ВС77"
        add(log, number, "camera", decision="camera", request=of_class(name))
    found = measured(log).by["class"]
    log.close()
    assert len(found) == MOST_CLASSES + 1
    assert OTHERS in found
    assert "not known" in found, "a plate in the place of a class is not shown"


def test_the_order_of_labels_counts_and_not_that_of_decisions(log: DecisionLog) -> None:
    before = measured(log).evidence.wealth
    add(log, 5, "camera", decision="camera")
    log.record([Feedback(DAY + 100, "request-1", 0, "network", "s")])
    outcomes = [(row.request_id, outcome) for row, outcome in log.store.labelled()]
    assert outcomes[-1] == ("request-1", "network")
    assert outcomes[-2] == ("request-5", "camera")
    newest = measured(log, newest=2)
    assert newest.labels == 2
    assert newest.evidence.wealth <= 1 < before


def test_the_page_needs_nothing_else(log: DecisionLog, tmp_path: Path) -> None:
    page = tmp_path / "quality.html"
    settings = {"SCORING_DECISIONS_DIR": str(log.folder)}
    arguments = ("quality", "--html", str(page), "--since", "2026-11-01", "--limit", "0.2")
    ran = run_module(tmp_path, "service.decisions", *arguments, settings=settings)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "class A" in ran.stdout
    html = page.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=.?(?:https?:|/)", html)
    assert "Decisions, since 2026-11-01T00:00:00+00:00, measured at 20" in html
    for title in ("By decision", "By version", "By class", "By day"):
        assert f"<h2>{title}</h2>" in html
    assert html.count("<svg") == 5
    assert "<tr><th>v1</th><td>50.00 %</td>" in html
    reading = golden.readings()[0]
    assert reading.afts_regno_ai not in html
