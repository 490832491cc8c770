"""The dashboards are current, whole, and what Grafana's own types allow."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import slo
from monitoring.grafana import files
from service.telemetry.metrics.http import expected_series
from tests.screenshots import dashboards
from tests.screenshots.dashboards import Variable, filled_in
from tests.screenshots.prometheus import Span
from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

GRAFANA = ROOT / "monitoring" / "grafana"
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name in dashboards.names()
    for panel in dashboards.panels(dashboards.load(name))
]


def test_the_issues_dashboards_are_there() -> None:
    titles = {name: dashboards.load(name)["title"] for name in dashboards.names()}
    assert titles == {
        "service": "Scoring: service",
        "model": "Scoring: model",
        "workers": "Scoring: workers",
        "jobs": "Scoring: jobs",
        "decisions": "Scoring: decisions",
        "pictures": "Scoring: pictures",
        "quality": "Scoring: quality",
        "load": "Scoring: load test",
    }


def test_the_committed_json_is_current() -> None:
    assert files.stale(files.make(slo.load())) == []


def test_check_names_files_that_are_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = files.make(slo.load())
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    files.write(made)
    assert files.stale(made) == []
    (tmp_path / "service.json").write_text("{}")
    (tmp_path / "load.json").unlink()
    (tmp_path / "of-old.json").write_text("{}")
    assert files.stale(made) == ["load.json", "of-old.json", "service.json"]
    files.write(made)
    assert files.stale(made) == []


def test_the_command_checks() -> None:
    command = [sys.executable, "-m", "monitoring.grafana", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_limits_come_from_the_objectives(tmp_path: Path) -> None:
    text = slo.PATH.read_text()
    changes = {
        "latency_seconds = 0.05": ("latency_seconds = 0.1", "service.json"),
        "p99_ms = 25": ("p99_ms = 33", "load.json"),
        "alert = 0.25": ("alert = 0.31", "model.json"),
        "evidence = 20": ("evidence = 30", "quality.json"),
        "cpu_ratio = 0.9": ("cpu_ratio = 0.83", "workers.json"),
    }
    made = files.make(slo.load())
    for number, (old, (new, name)) in enumerate(changes.items()):
        assert text.count(old) == 1
        path = tmp_path / f"{number}.toml"
        path.write_text(text.replace(old, new))
        changed = files.make(slo.load(path))
        assert changed[name] != made[name], new


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_has_a_unit_and_a_description(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}


@pytest.mark.parametrize("name", dashboards.names())
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in nonempty(dashboards.load(name)["panels"]):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", dashboards.names())
def test_ids_titles_and_references_are_unique(name: str) -> None:
    dashboard = dashboards.load(name)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert ids == sorted(set(ids))
    titles = [panel["title"] for panel in dashboards.panels(dashboard)]
    assert len(titles) == len(set(titles))
    references = [(query.panel, query.ref) for query in dashboards.queries(dashboard)]
    assert len(references) == len(set(references))


def _panel(name: str, title: str) -> dict[str, Any]:
    [panel] = [p for p in dashboards.panels(dashboards.load(name)) if p["title"] == title]
    return panel


def test_no_two_statuses_have_one_colour() -> None:
    """All that POST /reg answers with: what is there at 0 before it first happens."""
    panel = _panel("service", "Requests by status")
    colours = {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
    }
    answered = {s for route, _, s in expected_series(["/reg"]) if route == "/reg"}
    assert answered <= colours.keys()
    assert len(set(colours.values())) == len(colours)


def test_a_legend_of_many_names_is_to_the_right_of_its_graph() -> None:
    for name, title in (
        ("service", "Why rows are refused"),
        ("model", "Refused rows by field"),
        ("model", "Network, by camera class"),
        ("model", "Rows by camera class"),
        ("model", "Shadow flips, by camera class"),
    ):
        panel = _panel(name, title)
        assert panel["options"]["legend"]["placement"] == "right"
        assert panel["gridPos"]["w"] == 12


def test_instance_and_camera_class_can_be_chosen() -> None:
    chosen = {
        name: [variable["name"] for variable in dashboards.load(name)["templating"]["list"]]
        for name in dashboards.names()
    }
    assert all(names[0] == "instance" for names in chosen.values())
    assert "camera_class" in chosen["model"]


def test_variables_are_filled_in_as_grafana_does() -> None:
    chosen = [
        Variable("instance", "", "All", r"(a\\.b|c)"),
        Variable("feature", "", "hour", "hour"),
    ]
    expr = 'rate(m{instance=~"$instance",variable="$feature"}[$__rate_interval])'
    filled = filled_in(expr, chosen, Span(0, 60, 5), 15)
    assert filled == r'rate(m{instance=~"(a\\.b|c)",variable="hour"}[60s])'
    assert "[75s]" in filled_in(expr, chosen, Span(0, 60, 60), 15)


@pytest.mark.parametrize("name", dashboards.names())
def test_every_variable_of_a_dashboard_is_used_and_every_used_one_is_there(name: str) -> None:
    dashboard = dashboards.load(name)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    queries = "".join(query.expr for query in dashboards.queries(dashboard))
    assert set(re.findall(r"\$(\w+)", queries)) - {"__interval", "__rate_interval"} == variables


def test_the_data_source_knows_how_often_prometheus_scrapes() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    [prometheus] = source["datasources"]
    scraped = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text())
    assert prometheus["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    assert prometheus["uid"] == "prometheus"


def test_the_dashboards_are_what_grafanas_types_allow() -> None:
    assert dashboards.schema_errors(GRAFANA.glob("dashboards/*.json")) == []


def test_grafanas_types_find_what_is_wrong(tmp_path: Path) -> None:
    dashboard = dashboards.load("service")
    number, graph = (
        next(panel for panel in dashboards.panels(dashboard) if panel["type"] == kind)
        for kind in ("stat", "timeseries")
    )
    dashboard["graphTooltip"] = 7
    number["gridPos"]["w"] = "6"
    number["options"]["textmode"] = "value"
    graph["fieldConfig"]["defaults"]["custom"]["stacking"] = {"mode": "pile"}
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(dashboard))
    errors = "\n".join(dashboards.schema_errors([path]))
    for wrong in ("graphTooltip", "gridPos/w", "textmode", "stacking/mode"):
        assert wrong in errors


def test_the_panel_of_flips_says_what_is_counted_whatever_the_thresholds() -> None:
    [flips] = [
        panel["description"]
        for panel in dashboards.panels(dashboards.load("model"))
        if panel["title"] == "Shadow flips, by camera class"
    ]
    assert flips == (
        "The share of rows whose class at 0.5 is another one by the shadow model, by camera class. "
        "The promotion gate counts so, too. Decisions by other thresholds are not counted here."
    )
