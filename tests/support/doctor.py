"""The doctor's command, and made-up machines for its checks."""

import json
import os
import sys
from contextlib import chdir, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from model.registry import Validated, ValidationProcess
from service.doctor import checks
from service.doctor.__main__ import main
from service.doctor.finding import Finding
from service.doctor.machine import Machine
from tests.support.commands import environment, prefixed, run_module

GOOD_KEY = "vb5Qk-w2Lr9Zt_7XcY3nH8sP"
# Root without its powers keeps to the rights of files, as any other user does.
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


class Report:
    """The report of one run."""

    def __init__(self, code: int, text: str, errors: str = "") -> None:
        assert "Traceback" not in errors + text
        self.code = code
        self.text = text
        self.errors = errors

    @property
    def content(self) -> dict[str, Any]:
        """The JSON."""
        content: dict[str, Any] = json.loads(self.text)
        return content

    def __getitem__(self, name: str) -> dict[str, str]:
        """The one finding of a name."""
        (finding,) = [one for one in self.content["findings"] if one["name"] == name]
        return dict(finding)

    def level(self, name: str) -> str:
        """How bad that is."""
        return self[name]["level"]


class _CachedValidation:
    """The validation of a model file, once for each content: it takes a process and a second."""

    _outcomes: ClassVar[dict[object, Validated]] = {}

    def __init__(self, path: Path, *, positive_class: str, name: str) -> None:
        self._path, self._positive_class, self._name = path, positive_class, name

    def outcome(self) -> Validated:
        """What the real one yields."""
        manifest_file = self._path.with_name("manifest.json")
        files = [
            file.read_bytes() if file.exists() else b"" for file in (self._path, manifest_file)
        ]
        key = *files, self._path.name, self._positive_class, self._name
        if key not in self._outcomes:
            process = ValidationProcess(
                self._path, positive_class=self._positive_class, name=self._name
            )
            self._outcomes[key] = process.outcome()
        return self._outcomes[key]


def checked(folder: Path, *arguments: str, **settings: str) -> Report:
    """Run the doctor's command in this process, in a folder and its own environment."""
    named = prefixed("SCORING", settings)
    output = TextIOWrapper(BytesIO(), "utf-8")
    with (
        patch.dict(os.environ, environment(folder, named), clear=True),  # noqa: TID251 - and back
        chdir(folder),
        patch.object(sys, "argv", ["doctor", *arguments]),
        patch.object(checks, "ValidationProcess", _CachedValidation),
        redirect_stdout(output),
    ):
        code = main()
    return Report(code, output.buffer.getvalue().decode())


def ran(folder: Path, *arguments: str, through: tuple[str, ...] = (), **settings: str) -> Report:
    """Run the doctor's command as a process, `through` a command that takes rights or limits."""
    named = prefixed("SCORING", settings)
    done = run_module(folder, "service.doctor", *arguments, settings=named, through=through)
    return Report(done.returncode, done.stdout, done.stderr)


def machine(root: Path, files: dict[str, str]) -> Machine:
    """A machine whose kernel tells what these files hold, and nothing else."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(root)


def only(findings: "Any") -> Finding:
    """The finding of a check that has one."""
    (finding,) = findings
    assert isinstance(finding, Finding)
    assert bool(finding.remedy) or finding.level in ("ok", "unknown"), "each problem has a remedy"
    return finding


def reachable(folder: Path) -> Path:
    """A folder that other users can get into, its own mode and those above it allowing."""
    for part in (folder, *folder.parents):
        if part.stat().st_uid == os.geteuid() and part != part.parent:
            part.chmod(part.stat().st_mode | 0o011)
    return folder
