"""Python as it is where only some of the locked packages are installed."""

import re
from collections.abc import Collection
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.support.commands import Done, run_module
from tests.support.paths import ROOT

_HOOK = """
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {missing!r} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""


def locked(name: str = "requirements.lock") -> set[str]:
    """The packages of a lock: those of `make run`, unless another is named."""
    lock = (ROOT / name).read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))


def in_the_image() -> set[str]:
    """Those of them that the service's image keeps."""
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    match = re.search(r"uninstall --yes --quiet ([a-z ]+)", text)
    assert match
    return locked() - set(match[1].split())


def python_path(folder: Path, packages: Collection[str]) -> str:
    """A PYTHONPATH by which Python finds no packages but these."""
    missing = {
        name
        for name, owners in packages_distributions().items()
        if not any(re.sub("[-_.]+", "-", owner).lower() in packages for owner in owners)
    }
    hooks = folder / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(_HOOK.format(missing=missing), encoding="utf-8")
    return f"{hooks}:{ROOT}"


def run(folder: Path, packages: Collection[str], module: str, *arguments: object) -> Done:
    """`python -m` with these arguments where no packages but these are installed."""
    settings = {"PYTHONPATH": python_path(folder, packages)}
    return run_module(folder, module, *arguments, settings=settings, cwd=ROOT)
