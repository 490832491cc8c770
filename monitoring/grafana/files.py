"""The dashboards as files, which Grafana reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import DASHBOARDS
from monitoring.slo import Slo

FOLDER: Final = Path(__file__).with_name("dashboards")


def make(slo: Slo) -> dict[str, str]:
    """The text of each file, by its name."""
    return {f"{name}.json": _text(build(slo)) for name, build in DASHBOARDS.items()}


def _text(dashboard: Dashboard) -> str:
    content = json.loads(JSONEncoder().encode(dashboard))
    # The builders write keys that Grafana no longer has, or never had here.
    del content["style"]
    for variable in content["templating"]["list"]:
        for name in ("id", "auto", "auto_count", "auto_min"):
            del variable[name]
    for panel in content["panels"]:
        panel.get("options", {}).pop("footer", None)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write(made: Mapping[str, str]) -> None:
    """Write these files into the folder and remove other dashboards."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def stale(made: Mapping[str, str]) -> list[str]:
    """The names of files that are outdated, missing or left over."""
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    return sorted(
        name for name in present.keys() | made.keys() if present.get(name) != made.get(name)
    )
