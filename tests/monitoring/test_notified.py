"""From a server that is down to the notification, through the real programs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
import yaml

from loadgen.common.processes import free_port
from monitoring import rules, slo
from monitoring.alertmanager.config import config
from monitoring.alertmanager.settings import Settings
from tests.monitoring.stack import Webhook, alertmanager, prometheus, query, webhook
from tests.support.paths import ROOT
from tests.support.server import eventually

pytestmark = pytest.mark.slow

_COMMITTED: Final = ROOT / "monitoring" / "prometheus" / "prometheus.yml"


def _hurried(folder: Path, manager: str, targets: list[str]) -> dict[str, Any]:
    """The committed configuration and rules, with its own targets, and in seconds."""
    read = slo.load()
    process = msgspec.structs.replace(read.process, scrapes_missing_for="1s")
    (folder / "rules").mkdir()
    rules.write(rules.render(msgspec.structs.replace(read, process=process)), folder / "rules")
    (folder / "targets").mkdir()
    (folder / "targets" / "scoring.yml").write_text(yaml.safe_dump([{"targets": targets}]))
    (folder / "targets" / "loadgen.yml").write_text("[]")
    (folder / "metrics_token").write_text("t")
    made: dict[str, Any] = yaml.safe_load(_COMMITTED.read_text("utf-8"))
    made["global"] = dict.fromkeys(made["global"], "500ms")
    address = [{"targets": [manager.removeprefix("http://")]}]
    made["alerting"]["alertmanagers"] = [{"static_configs": address}]
    for job in made["scrape_configs"]:
        job |= {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    return made


def test_two_instances_that_are_down_cause_one_notification(tmp_path: Path) -> None:
    targets = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    token = tmp_path / "token"
    token.write_text("wL9x")
    with webhook() as receiver:
        settings = Settings(webhook_url=receiver.url, webhook_token_file=str(token))
        with (
            alertmanager(tmp_path, config(settings)) as manager,
            prometheus(tmp_path, _hurried(tmp_path, manager, targets)) as address,
        ):
            eventually(lambda: bool(_both(receiver)), "a notification has both")
            assert len(query(address, 'up{job="scoring"} == 0')) == 2
        _is_about(receiver, targets)
        assert set(receiver.authorizations) == {"Bearer wL9x"}


def _is_about(receiver: Webhook, targets: list[str]) -> None:
    [first, *_] = _both(receiver)
    assert first["status"] == "firing"
    assert first["groupLabels"] == {"alertname": "ScoringTargetDown", "service": "scoring"}
    assert first["commonLabels"]["severity"] == "page"
    assert {alert["labels"]["instance"] for alert in first["alerts"]} == set(targets)
    link = "monitoring/RUNBOOK.md#scoringtargetdown"
    assert first["commonAnnotations"]["runbook_url"] == link
    assert {n["groupLabels"]["alertname"] for n in receiver.notifications} == {"ScoringTargetDown"}


def _both(receiver: Webhook) -> list[dict[str, Any]]:
    """Notifications about two instances: one that fires a blink later joins the next one."""
    return [n for n in receiver.about("ScoringTargetDown") if len(n["alerts"]) == 2]


def _alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": name, "service": "scoring", "severity": severity, **labels},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
    }


def _inhibited(manager: str) -> set[tuple[str, str]]:
    """Names and instances of the inhibited alerts."""
    alerts = httpx.get(f"{manager}/api/v2/alerts").json()
    return {
        (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
        for alert in alerts
        if alert["status"]["inhibitedBy"]
    }


def test_a_cause_inhibits_its_consequences_and_nothing_else(tmp_path: Path) -> None:
    causes = [
        _alert("ScoringTargetDown", "page", instance="a"),
        _alert("LatencyBurnFast", "page", long="1h"),
    ]
    consequences = [
        _alert("WorkersMissing", "ticket", instance="a"),
        _alert("ScoringSaturated", "ticket", instance="a", resource="cpu"),
        _alert("LatencyBurnSlow", "ticket", long="1d"),
        _alert("InputDrift", "ticket", level="moderate"),
    ]
    others = [
        # One dead instance says nothing of the traffic of all.
        _alert("NoTraffic", "page"),
        _alert("WorkersMissing", "ticket", instance="b"),
        _alert("InputDrift", "ticket", level="major"),
        _alert("ScoreShift", "ticket", level="moderate"),
        _alert("AvailabilityBurnSlow", "ticket", long="1d"),
    ]
    with (
        webhook() as receiver,
        alertmanager(tmp_path, config(Settings(webhook_url=receiver.url))) as manager,
    ):
        _post(manager, causes + consequences + others)
        notified = {"ScoringTargetDown", "LatencyBurnFast", "WorkersMissing", "InputDrift"}
        notified |= {"ScoreShift", "AvailabilityBurnSlow", "NoTraffic"}
        eventually(lambda: all(receiver.about(name) for name in notified), "causes are notified")
        # After the notification of a later group, those of the earlier ones are sent.
        _post(manager, [_alert("ModelLoadFailed", "ticket")])
        eventually(lambda: bool(receiver.about("ModelLoadFailed")), "a later alert is notified")
        assert _inhibited(manager) == {
            ("WorkersMissing", "a"),
            ("ScoringSaturated", "a"),
            ("LatencyBurnSlow", ""),
            ("InputDrift", ""),
        }
    names = {n["groupLabels"]["alertname"] for n in receiver.notifications}
    assert names == notified | {"ModelLoadFailed"}
    assert _labels(receiver, "WorkersMissing", "instance") == {"b"}
    assert _labels(receiver, "InputDrift", "level") == {"major"}


def _post(manager: str, alerts: list[dict[str, Any]]) -> None:
    assert httpx.post(f"{manager}/api/v2/alerts", json=alerts).status_code == 200


def _labels(receiver: Webhook, alert: str, label: str) -> set[str]:
    """The values of a label in the notifications of an alert."""
    return {one["labels"][label] for n in receiver.about(alert) for one in n["alerts"]}
