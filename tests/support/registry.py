"""Small registries: versions made of any bytes, and the command as a process."""

import json
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from model.registry import Files
from tests.support.paths import ROOT
from tests.support.server import environment


def files(version: str, model: bytes = b"model", **changed: object) -> Files:
    """A version that the registry takes, though it is no model."""
    manifest = {"version": version, "file": "model.cbm", "sha256": sha256(model).hexdigest()}
    return Files(model, json.dumps({**manifest, **changed}).encode())


def no_check(_: Path) -> None:
    """Take any file for a model that can be served."""


def command(
    folder: Path, *arguments: object, expect: int = 0, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m model.registry` with these arguments. `folder` is for its temporary files."""
    done = subprocess.run(
        [sys.executable, "-m", "model.registry", *map(str, arguments)],
        cwd=ROOT,
        env=environment(folder, settings or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == expect, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command with --json reported."""
    return json.loads(done.stdout)
