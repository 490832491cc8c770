"""The dashboards as files: what Grafana is given to read."""

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
    # The builders write what Grafana has dropped since, or never had for such a thing.
    del content["style"]
    for variable in content["templating"]["list"]:
        for name in ("id", "auto", "auto_count", "auto_min"):
            del variable[name]
    for panel in content["panels"]:
        panel.get("options", {}).pop("footer", None)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write(made: Mapping[str, str]) -> None:
    """Make the folder hold these files and no other dashboard."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def stale(made: Mapping[str, str]) -> list[str]:
    """Names of the files that differ from what was made, are missing, or are left over."""
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    return sorted(
        name for name in present.keys() | made.keys() if present.get(name) != made.get(name)
    )
