"""The rule files of Prometheus, built from `slo.toml`: `python -m monitoring.rules [--check]`.

May import: `monitoring.slo`, PyYAML. Never: `grafana`, `alertmanager`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from monitoring.rules import (
    decisions,
    drift,
    jobs,
    model,
    objectives,
    pictures,
    processes,
    quality,
    traffic,
)
from monitoring.rules.promql import Group
from monitoring.slo import Slo

FOLDER: Final = Path(__file__).parents[1] / "prometheus" / "rules"
HEADER: Final = (
    "# Made by `python -m monitoring.rules` from monitoring/slo.toml. Change that, not this.\n"
)
FILES: Final[dict[str, Callable[[Slo], list[Group]]]] = {
    "objectives.yml": objectives.groups,
    "decisions.yml": decisions.groups,
    "drift.yml": drift.groups,
    "jobs.yml": jobs.groups,
    "model.yml": model.groups,
    "pictures.yml": pictures.groups,
    "processes.yml": processes.groups,
    "quality.yml": quality.groups,
    "traffic.yml": traffic.groups,
}


def render(slo: Slo) -> dict[str, str]:
    """The text of each rule file, by its name."""
    return {name: HEADER + _dump({"groups": groups(slo)}) for name, groups in FILES.items()}


def stale(files: dict[str, str], folder: Path = FOLDER) -> list[str]:
    """The names of files that are outdated, missing or left over."""
    found = {path.name: path.read_text("utf-8") for path in folder.glob("*.yml")}
    names = sorted(files.keys() | found.keys())
    return [name for name in names if files.get(name) != found.get(name)]


def write(files: dict[str, str], folder: Path = FOLDER) -> None:
    """Write the rule files and remove others."""
    for name in stale(files, folder):
        path = folder / name
        if name in files:
            path.write_text(files[name], "utf-8")
        else:
            path.unlink()


class _Dumper(yaml.SafeDumper):
    """Keeps the order of keys, and writes text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _dump(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
