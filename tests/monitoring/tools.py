"""The programs of Prometheus, run as an operator runs them."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_PACKAGES: Final = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
}


def tool(name: str) -> str:
    """The path of a program; the test fails, naming it, where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is missing (Debian: apt-get install {_PACKAGES[name]})")
    return path


def run(name: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end."""
    return subprocess.run(
        [tool(name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
