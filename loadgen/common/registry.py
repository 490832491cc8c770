"""A model registry in a folder, by the commands of `python -m model.registry`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from loadgen.common.errors import CannotStart
from loadgen.common.options import ROOT


def add(folder: Path, model: Path, version: str = "") -> str:
    """Add a model file, as its own version unless another is given; the version.

    Raises CannotStart.
    """
    named = ("--version", version) if version else ()
    return str(_run(folder, "add", str(model), *named)["version"])


def promote(folder: Path, version: str) -> None:
    """Make a version live. Raises CannotStart."""
    _run(folder, "promote", version)


def _run(folder: Path, command: str, *arguments: str) -> Any:
    line = [sys.executable, "-m", "model.registry", command, "--models", str(folder), "--json"]
    done = subprocess.run(
        [*line, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"python -m model.registry {command} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)
