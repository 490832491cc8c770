"""Dashboards to PNG: a page with the data, drawn by Grafana's components in Chromium."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from PIL import Image

from tests.screenshots import ScreenshotError, dashboards, npm
from tests.screenshots.dashboards import Variable
from tests.screenshots.prometheus import Prometheus, Span

_PAGE: Final = Path(__file__).with_name("page")
_WIDTH: Final = 1280
# Grafana's grid: 24 columns, rows of 30 pixels, 8 between them; above it the page's head.
_COLUMNS, _ROW, _GAP, _HEAD = 24, 30, 8, 46
_PATIENCE_SECONDS: Final = 60
_TEMPLATE: Final = Template(
    "<!doctype html><meta charset='utf-8'><title>$title</title>"
    "<link rel='stylesheet' href='page.css'><body style='margin: 0'><div id='root'></div>"
    "<script>window.screenshot = $content;</script><script src='page.js'></script>\n"
)


def page(out: Path) -> None:
    """Write the drawing script into a folder. Raises ScreenshotError."""
    folder = npm.installed(_PAGE)
    npm.run_node(folder, "build.mjs")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("page.js", "page.css"):
        shutil.copyfile(folder / name, out / name)


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


class Drawn(NamedTuple):
    """A picture, and the number of series (of a table: tables) in each panel, by title."""

    picture: Path
    series: dict[str, int]


def dashboard(name: str, prometheus: Prometheus, span: Span, scrape: float, out: Path) -> Drawn:
    """Run the dashboard's queries, write NAME.html and NAME.png. Raises ScreenshotError."""
    content = dashboards.load(name)
    chosen = dashboards.variables(content, prometheus, span)
    content_of_page = {
        "dashboard": content,
        "variables": [variable._asdict() for variable in chosen],
        "range": {"from": span.start, "to": span.end},
        "boxes": {panel["id"]: box(panel)._asdict() for panel in content["panels"]},
        "queries": _data(content, chosen, prometheus, span, scrape),
    }
    # "<" escaped: a label must not end the script.
    text = json.dumps(content_of_page, ensure_ascii=False).replace("<", "\\u003c")
    source = out / f"{name}.html"
    source.write_text(
        _TEMPLATE.substitute(title=html.escape(content["title"]), content=text), encoding="utf-8"
    )
    picture = out / f"{name}.png"
    series = _series(_screenshot(source, picture, _height(content)))
    if series.keys() != {panel["title"] for panel in dashboards.panels(content)}:
        raise ScreenshotError(f"{source} shows other panels than those of the dashboard")
    _shrink(picture)
    return Drawn(picture, series)


def _data(
    content: Mapping[str, Any],
    chosen: list[Variable],
    prometheus: Prometheus,
    span: Span,
    scrape: float,
) -> dict[int, list[dict[str, Any]]]:
    data: dict[int, list[dict[str, Any]]] = {}
    for query in dashboards.queries(content):
        data.setdefault(query.panel, []).append(
            {
                "refId": query.ref,
                "legend": query.legend,
                "table": query.table,
                "stepSeconds": span.step,
                "data": dashboards.run(query, chosen, prometheus, span, scrape),
            }
        )
    return data


def box(panel: Mapping[str, Any]) -> Box:
    """The place of a panel in the picture."""
    place = panel["gridPos"]
    column = (_WIDTH - _GAP) / _COLUMNS
    return Box(
        left=round(_GAP + place["x"] * column),
        top=_HEAD + place["y"] * (_ROW + _GAP),
        width=round(place["w"] * column) - _GAP,
        height=place["h"] * (_ROW + _GAP) - _GAP,
    )


def _height(content: Mapping[str, Any]) -> int:
    boxes = [box(panel) for panel in content["panels"]]
    return _GAP + max(box.top + box.height for box in boxes)


def _screenshot(source: Path, picture: Path, height: int) -> str:
    """The page's HTML after Chromium has drawn it into a picture."""
    with TemporaryDirectory(prefix="screenshots-") as profile:
        command = [
            *(_chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={profile}", "--hide-scrollbars"),
            *(f"--window-size={_WIDTH},{height}", "--virtual-time-budget=10000"),
            *(f"--screenshot={picture}", "--dump-dom", source.resolve().as_uri()),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        )
    if done.returncode or not picture.exists():
        raise ScreenshotError(f"{command[0]} made no picture:\n{done.stderr[-2000:]}")
    return done.stdout


def _shrink(picture: Path) -> None:
    """Reduce the picture to 256 colours, which halves its size."""
    with Image.open(picture) as image:
        reduced = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(picture, optimize=True)


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise ScreenshotError(
        "chromium is not installed (Debian: apt-get install chromium fonts-inter)"
    )


def _series(page: str) -> dict[str, int]:
    if failed := re.search(r'data-failed="([^"]*)"', page):
        raise ScreenshotError(f"The page could not be drawn: {html.unescape(failed[1])}")
    panels = re.findall(r'data-panel="([^"]*)" data-series="(\d+)"', page)
    return {html.unescape(title): int(series) for title, series in panels}
