"""Small registries: versions made of any bytes, and the command as a process."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from model.registry import Files
from model.registry.__main__ import main
from tests.support.commands import Done, run_module
from tests.support.paths import ROOT

# The command with these arguments, in this process: its status, output and errors.
Run = Callable[..., tuple[int, str, str]]


def runner(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The command in this process, on the registry in a folder."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([*map(str, arguments), "--models", str(models)])
        written = capsys.readouterr()
        return status, written.out, written.err

    return run


def files(version: str, model: bytes = b"model", **changed: object) -> Files:
    """A version that the registry takes, though it is not a model."""
    manifest = {"version": version, "file": "model.cbm", "sha256": sha256(model).hexdigest()}
    return Files(model, json.dumps({**manifest, **changed}).encode())


def no_check(_: Path) -> None:
    """Take any file for a model that can be served."""


def command(
    folder: Path, *arguments: object, expect: int = 0, settings: Mapping[str, str] | None = None
) -> Done:
    """`python -m model.registry` with these arguments. `folder` is for its temporary files."""
    done = run_module(folder, "model.registry", *arguments, settings=settings or {}, cwd=ROOT)
    assert done.returncode == expect, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def as_json(done: Done) -> Any:
    """What a command with --json reported."""
    return json.loads(done.stdout)
