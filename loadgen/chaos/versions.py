"""A registry that holds one model under two versions: a swap between them changes no score."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from loadgen.bench.errors import CannotStart
from loadgen.load.settings import ROOT

OTHER: Final = "the-same-again"


def registry(model: Path, folder: Path) -> Path:
    """A registry in a folder, the model's own version live. Raises CannotStart."""
    live = _run(folder, "add", str(model))["version"]
    _run(folder, "add", str(model), "--version", OTHER)
    _run(folder, "promote", live)
    return folder


def _run(folder: Path, command: str, *arguments: str) -> Any:
    """What a command of `model.registry` answers; this room may not import it."""
    line = [sys.executable, "-m", "model.registry", command, "--models", str(folder), "--json"]
    done = subprocess.run(
        [*line, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"no registry could be made: {done.stderr.strip()}")
    return json.loads(done.stdout)
