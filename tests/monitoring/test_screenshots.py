"""`make screenshots` as a command; what it draws is in test_dashboards_live.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.screenshots import ScreenshotError, dashboards
from tests.screenshots.prometheus import Prometheus, Span
from tests.support.paths import ROOT


def screenshots(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.screenshots", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_a_dashboard_is_drawn_with_data_of_a_short_load(tmp_path: Path) -> None:
    arguments = ("load", "--out", str(tmp_path), "--seconds", "6", "--rate", "300")
    done = screenshots(*arguments)
    assert done.returncode == 0, done.stderr
    panels = len(dashboards.panels(dashboards.load("load")))
    assert re.search(rf"Drawn: {tmp_path}/load.png, \d+ of {panels} panels have data", done.stdout)
    assert re.search(r"Replies: \d+ × 200, ", done.stdout)


def test_help_says_what_it_does() -> None:
    done = screenshots("--help")
    assert done.returncode == 0
    for argument in ("--out", "--seconds", "--rate", "dashboards"):
        assert argument in done.stdout


def test_a_dashboard_that_is_not_there_is_named() -> None:
    done = screenshots("service", "sevrice")
    assert done.returncode == 2
    assert "no such dashboard: sevrice" in done.stderr


def test_a_prometheus_that_does_not_answer_is_named() -> None:
    port = free_port()
    with pytest.raises(ScreenshotError, match="does not answer"):
        Prometheus(f"http://127.0.0.1:{port}").over("up", Span(0, 1, 1))
