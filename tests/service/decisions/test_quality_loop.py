"""The quality of decisions as metrics: exact, of the last days, and replaced as a whole."""

import re
from collections.abc import Iterator
from pathlib import Path
from time import time

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from model.regno import golden
from service.config.settings import Settings
from service.decisions.groups import Groups
from service.decisions.log import DecisionLog
from service.decisions.quality import Evidence
from service.decisions.quality_loop import QualityLoop, measure
from service.telemetry.metrics.decision_quality import QualityMetrics
from tests.support.decisions import add_labelled
from tests.support.server import eventually

_DAY = 86_400


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """Decisions of a bad version weeks ago, and of a good one of today."""
    made, now = DecisionLog(tmp_path / "log"), time()
    for number in range(10):
        old = {"time": now - 40 * _DAY, "version": "v1", "decision": "camera"}
        add_labelled(made, number, "network", now - 40 * _DAY + number, **old)
    for number in range(10, 14):
        new = {"time": now - 60, "version": "v2", "decision": "network", "positive": 0.9}
        add_labelled(made, number, "network", now - 60 + number, **new)
    add_labelled(made, 14, "camera", now - 100, time=now - 100, version="v2", decision="network")
    yield made
    made.close()


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """What the page shows, by name and labels."""
    found = re.findall(
        r"^scoring_quality_(\S+) (\S+)$", generate_latest(registry).decode(), re.MULTILINE
    )
    return {name: float(number) for name, number in found}


def test_the_figures_are_those_of_the_last_days(log: DecisionLog, settings: Settings) -> None:
    registry = CollectorRegistry()
    metrics = QualityMetrics(registry)
    assert samples(registry) == {}
    measure(log, settings, Groups(), metrics)
    found = samples(registry)
    assert found['wrong_ratio{by="all",value=""}'] == 0.2
    assert found['audited_labels{by="version",value="v2"}'] == 5
    assert found['auc{by="all",value=""}'] == 1
    assert found['cost{by="all",value=""}'] == pytest.approx(settings.cost_network_wrong / 5)
    assert found["limit_ratio"] == settings.quality_limit
    assert found["newest_label_timestamp_seconds"] == pytest.approx(time() - 47, abs=60)
    assert not [name for name in found if "v1" in name]
    evidence = Evidence(settings.quality_limit)
    for is_wrong in (True, False, False, False, False):
        evidence.add(is_wrong)
    # The error's label came first.
    assert found['evidence{version="v2"}'] == pytest.approx(evidence.wealth)
    page = generate_latest(registry).decode()
    assert golden.readings()[10].afts_regno_ai not in page


def test_what_is_not_measured_any_more_has_no_series(log: DecisionLog, settings: Settings) -> None:
    registry = CollectorRegistry()
    metrics, groups = QualityMetrics(registry), Groups()
    whole = msgspec.structs.replace(settings, quality_days=100)
    measure(log, whole, groups, metrics)
    assert 'wrong_ratio{by="version",value="v1"}' in samples(registry)
    assert samples(registry)['wrong_ratio{by="version",value="v1"}'] == 1
    measure(log, settings, groups, metrics)
    assert 'wrong_ratio{by="version",value="v1"}' not in samples(registry)


def test_a_log_without_labels_has_no_figures(tmp_path: Path, settings: Settings) -> None:
    registry, log = CollectorRegistry(), DecisionLog(tmp_path / "log")
    measure(log, settings, Groups(), QualityMetrics(registry))
    log.close()
    named = ("limit_ratio", "newest_label_timestamp_seconds", "measured_timestamp_seconds")
    assert samples(registry).keys() == {*named, "measuring_seconds"}
    assert samples(registry)["newest_label_timestamp_seconds"] == 0


def test_the_thread_measures_at_its_start_and_ends(log: DecisionLog, settings: Settings) -> None:
    registry = CollectorRegistry()
    here = msgspec.structs.replace(settings, decisions_dir=str(log.folder))
    loop = QualityLoop(here, QualityMetrics(registry))
    loop.start()
    eventually(lambda: "limit_ratio" in samples(registry), "it has measured")
    loop.stop()
    assert not loop.is_alive()
