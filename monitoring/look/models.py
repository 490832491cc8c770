"""The registry that the service of the scene follows: the bundled model under two names."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from monitoring.look.errors import CannotLook

ROOT: Final = Path(__file__).parents[2]
FIRST: Final = "2026-10"
SECOND: Final = "2026-11"
_MODEL: Final = ROOT / "model" / "regno" / "regno.cbm"


def make(folder: Path) -> None:
    """A registry in a folder; the first is live. Raises CannotLook."""
    for version in (FIRST, SECOND):
        _run(folder, "add", str(_MODEL), "--version", version)
    promote(folder, FIRST)


def promote(folder: Path, version: str) -> None:
    """Make a version live. Raises CannotLook."""
    _run(folder, "promote", version)


def _run(folder: Path, command: str, *arguments: str) -> None:
    line = [sys.executable, "-m", "model.registry", command, "--models", str(folder), *arguments]
    inherited = os.environ  # noqa: TID251 - to add to it
    settings = {**inherited, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, env=settings, capture_output=True, text=True, check=False)  # noqa: S603 - own program
    if done.returncode:
        raise CannotLook(f"The models' registry: {done.stderr.strip()}")
