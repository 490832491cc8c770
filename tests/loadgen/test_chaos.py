"""Faults under load, as `make chaos` injects them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.chaos import __main__ as chaos
from loadgen.chaos.faults import FAULTS
from loadgen.load import shapes
from tests.support.paths import ROOT


def test_every_fault_has_its_stage() -> None:
    named = {stage.given_name for stage in shapes.named("chaos").stages}
    assert set(FAULTS) <= named


@pytest.mark.parametrize(
    ("code", "outcome", "status"),
    [(0, "replaced within 1.0 s", 0), (0, "FAILED: no 2 workers served", 1), (4, "FAILED: x", 4)],
)
def test_a_fault_that_was_not_completed_is_no_success(code: int, outcome: str, status: int) -> None:
    assert chaos.status(code, {"nothing": "", "worker killed": outcome}) == status


SHORT = """
[generator]
max_lateness_p99_ms = 200
max_cpu = 0.95
timeout_seconds = 5
[mix]
single = 1
[shape.chaos]
about = "for a test"
limits = "objective"
connections = 16
stages = [
    { name = "nothing", seconds = 4, rate = 50, judged = true },
    { name = "worker killed", seconds = 8, rate = 50, judged = true },
    { name = "rolling restart", seconds = 12, rate = 50, judged = true },
    { name = "model swapped", seconds = 10, rate = 50, judged = true },
]
"""


@pytest.mark.slow
@pytest.mark.alone
def test_a_killed_worker_costs_at_most_what_it_was_at_and_other_changes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shapes.toml"
    path.write_text(SHORT, encoding="utf-8")
    arguments = ["--shapes", str(path), "--out", str(tmp_path)]
    finished = subprocess.run(
        [sys.executable, "-m", "loadgen.chaos", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    output = finished.stdout + finished.stderr
    content = json.loads((tmp_path / "chaos.json").read_text(encoding="utf-8"))
    stages = {stage["name"]: sum(stage["failures"].values()) for stage in content["stages"]}
    assert "replaced within" in output
    assert "2 workers in turn within" in output
    assert "FAILED" not in output
    assert stages["nothing"] == 0, output
    assert stages["worker killed"] <= 3, output
    assert stages["rolling restart"] == 0, output
    assert re.search(r"another version in all workers within \S+ s, back in all", output), output
    assert stages["model swapped"] == 0, output
    assert len(content["models"]) == 2, output  # it served both
    assert content["golden_rows"] > 10
