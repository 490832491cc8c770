"""A writer is killed before each of its file operations: the registry is whole after each."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model.registry import Aliases, Registry
from model.registry.file_store import FileStore
from tests.support.paths import ROOT
from tests.support.registry import files, no_check

_BEFORE = Aliases("v1", "", "v0", 2)
_AFTER = {
    "add": _BEFORE,
    "promote": Aliases("v2", "", "v1", 3),
    "rollback": Aliases("v0", "", "v1", 3),
}
_MOST = 60


def _made(folder: Path) -> Registry:
    registry = Registry(FileStore(folder, "model.cbm"), no_check)
    for version in ("v0", "v1", "v2"):
        registry.add(files(version, version.encode()))
    registry.promote("v0", who="a")
    registry.promote("v1", who="a")
    return registry


def _ended(folder: Path, step: str, number: int) -> int:
    command = [sys.executable, "-m", "tests.support.registry_crash", str(folder), step, str(number)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode


@pytest.mark.slow
@pytest.mark.parametrize("step", ["add", "promote", "rollback"])
def test_killed_before_any_file_operation_it_leaves_a_whole_registry(
    step: str, tmp_path: Path
) -> None:
    seen = set()
    for number in range(_MOST):
        folder = tmp_path / str(number)
        registry = _made(folder)
        code = _ended(folder, step, number)
        assert code in (0, -9)
        assert registry.verify() == []
        versions = {entry.version for entry in registry.versions()}
        aliases = registry.aliases()
        assert versions - {"new"} == {"v0", "v1", "v2"}
        assert aliases in (_BEFORE, _AFTER[step])
        seen.add((code, "new" in versions, aliases))
        # Nothing that was left is in the way of the same step or of others.
        registry.add(files("new", b"new" * 1000))
        registry.promote("new", who="a")
        assert registry.aliases().live == "new"
        left = {path.name for path in folder.iterdir()}
        assert left == {"v0", "v1", "v2", "new", "aliases.json", ".lock"}
        shutil.rmtree(folder)
        if code == 0:
            break
    assert number >= 5, "there were file operations to die before"
    assert (0, step == "add", _AFTER[step]) in seen
    assert (-9, False, _BEFORE) in seen
