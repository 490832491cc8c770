"""`make screenshots` as a person runs it: the pictures are there, and show what they should."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loadgen.common.processes import free_port
from tests.screenshots import ScreenshotError, dashboards, draw
from tests.screenshots.prometheus import Prometheus, Span
from tests.support.paths import ROOT


def screenshots(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.screenshots", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the pictures, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("screenshots")
    done = screenshots("--out", str(folder), "--seconds", "40", "--rate", "100")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.slow
def test_it_tells_how_far_it_is(drawn: tuple[Path, str]) -> None:
    folder, said = drawn
    for name in dashboards.names():
        panels = len(dashboards.panels(dashboards.load(name)))
        assert f"Drawn: {folder / name}.png, {panels} of {panels} panels have data" in said
    assert re.search(r"Replies: \d+ × 200, ", said)


@pytest.mark.slow
@pytest.mark.parametrize("name", dashboards.names())
def test_every_panel_shows_colour(drawn: tuple[Path, str], name: str) -> None:
    """Lines, figures and areas are coloured; titles, axes and tables are grey."""
    dashboard = dashboards.load(name)
    with Image.open(drawn[0] / f"{name}.png") as image:
        picture = image.convert("RGB")
    for panel in dashboards.panels(dashboard):
        if panel["type"] == "table":
            continue
        assert _coloured(picture.crop(_corners(panel))) > 20, panel["title"]


def _coloured(picture: Image.Image) -> int:
    """How many pixels are neither black nor white nor grey."""
    found: Any = picture.getcolors(picture.width * picture.height)
    return sum(count for count, colour in found if max(colour) - min(colour) > 60)


def _corners(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    left, top, width, height = draw.box(panel)
    return left, top, left + width, top + height


@pytest.mark.slow
def test_the_page_can_be_opened_by_itself(drawn: tuple[Path, str]) -> None:
    folder, _ = drawn
    page = (folder / "service.html").read_text()
    found = re.search(r"window\.screenshot = (.*);</script>", page)
    assert found
    content = json.loads(found[1])
    assert content["dashboard"] == dashboards.load("service")
    assert {path.name for path in folder.iterdir()} == {
        *("page.js", "page.css"),
        *(f"{name}.{kind}" for name in dashboards.names() for kind in ("html", "png")),
    }


def test_help_says_what_it_does() -> None:
    done = screenshots("--help")
    assert done.returncode == 0
    for word in ("--out", "--seconds", "--rate", "dashboards"):
        assert word in done.stdout


def test_a_dashboard_that_is_not_there_is_named() -> None:
    done = screenshots("service", "sevrice")
    assert done.returncode == 2
    assert "no such dashboard: sevrice" in done.stderr


def test_no_prometheus_is_told() -> None:
    port = free_port()
    with pytest.raises(ScreenshotError, match="does not answer"):
        Prometheus(f"http://127.0.0.1:{port}").over("up", Span(0, 1, 1))
