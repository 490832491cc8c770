"""The rules are current and valid, and each alert is tested quiet, firing and on a false alarm."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from monitoring import rules, slo
from tests.monitoring.tools import run
from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

_PROMETHEUS: Final = ROOT / "monitoring" / "prometheus"
_TESTS: Final = sorted((_PROMETHEUS / "tests").glob("*.yml"))
_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def _rules(kind: str) -> list[dict[str, Any]]:
    files = [yaml.safe_load(text) for text in rules.render(slo.load()).values()]
    every = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return [rule for rule in every if kind in rule]


def _command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "monitoring.rules", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_committed_files_are_current() -> None:
    assert rules.stale(rules.render(slo.load())) == []
    checked = _command("--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_made_file_says_which_command_makes_it() -> None:
    for path in nonempty(list(rules.FOLDER.iterdir())):
        first = path.read_text("utf-8").splitlines()[0]
        assert first.startswith("# Made by `python -m monitoring.rules` from"), path.name


def test_a_file_that_is_outdated_missing_or_left_over_is_stale(tmp_path: Path) -> None:
    files = rules.render(slo.load())
    rules.write(files, tmp_path)
    assert rules.stale(files, tmp_path) == []
    (tmp_path / "drift.yml").write_text("groups: []\n")
    (tmp_path / "model.yml").unlink()
    (tmp_path / "older.yml").write_text("groups: []\n")
    assert rules.stale(files, tmp_path) == ["drift.yml", "model.yml", "older.yml"]
    rules.write(files, tmp_path)
    assert rules.stale(files, tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_the_numbers_come_from_the_file() -> None:
    read = slo.load()
    objective = msgspec.structs.replace(read.objective, availability=0.995, latency_seconds=1)
    made = rules.render(msgspec.structs.replace(read, objective=objective))["objectives.yml"]
    assert "scoring:availability_errors:ratio_rate1h > 14.4 * 0.005\n" in made
    assert 'le="1.0"' in made
    assert 'le="0.05"' not in made
    assert "0.5 % is allowed over 30d" in made


def test_what_others_build_on_is_recorded() -> None:
    recorded = {rule["record"] for rule in _rules("record")}
    assert recorded >= {
        "scoring:http_requests:rate5m",
        "scoring:drift_psi:1h",
        "scoring:drift_psi_weighted:1h",
        "scoring:drift_reference_missing",
        "scoring:error_budget_left:ratio30d",
        *(f"scoring:availability_errors:ratio_rate{window}" for window in _WINDOWS),
        *(f"scoring:latency_errors:ratio_rate{window}" for window in _WINDOWS),
    }


@pytest.mark.parametrize("rule", _rules("alert"), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["labels"]["service"] == "scoring"
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")
    link = f"monitoring/RUNBOOK.md#{rule['alert'].lower()}"
    assert rule["annotations"]["runbook_url"] == link


def test_no_two_rules_make_the_same_alert() -> None:
    """Name and labels are all that Alertmanager tells alerts apart by."""
    alerts = [(rule["alert"], *sorted(rule["labels"].items())) for rule in _rules("alert")]
    assert [alert for alert, number in Counter(alerts).items() if number > 1] == []


def test_promtool_accepts_the_rules() -> None:
    checked = run("promtool", "check", "rules", *sorted(rules.FOLDER.glob("*.yml")))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _copy(folder: Path) -> Path:
    """The committed folder as a fresh clone has it: without a token."""
    ignored = shutil.ignore_patterns("metrics_token")
    return shutil.copytree(_PROMETHEUS, folder / "prometheus", ignore=ignored)


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "metrics_token").write_text("t")
    checked = run("promtool", "check", "config", folder / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "warn" not in (checked.stdout + checked.stderr).lower()


def test_the_configuration_without_a_token_file_names_it(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    checked = run("promtool", "check", "config", folder / "prometheus.yml")
    assert checked.returncode == 1
    assert "metrics_token" in checked.stderr


_SLOW = ("objectives.yml", "objectives_long.yml", "processes.yml", "traffic_long.yml")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.name in _SLOW))
        for path in _TESTS
    ],
)
def test_promtool_proves_the_rules(path: Path) -> None:
    tested = run("promtool", "test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _cases() -> dict[str, set[str]]:
    """What is tested of each alert: the second part of its tests' names."""
    cases: dict[str, set[str]] = {}
    for path in _TESTS:
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            named = re.fullmatch(r"(\w+) (quiet|fires|false alarm): .+", test["name"])
            if named is None:
                assert test["name"].startswith("recorded: "), f"{path.name}: {test['name']}"
                continue
            alert, case = named.groups()
            _agrees(test, alert, case)
            cases.setdefault(alert, set()).add(case)
    return cases


def _agrees(test: dict[str, Any], alert: str, case: str) -> None:
    """The last check of a test must expect the alert if the test's name says that it fires."""
    checks = [check for check in test["alert_rule_test"] if check["alertname"] == alert]
    assert bool(checks[-1]["exp_alerts"]) == (case == "fires"), test["name"]


def test_every_alert_has_a_quiet_a_firing_and_a_tempting_case() -> None:
    wanted = {rule["alert"]: {"quiet", "fires", "false alarm"} for rule in _rules("alert")}
    assert _cases() == wanted
