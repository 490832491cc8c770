"""The folder in which the workers keep their metrics: made by the master, gone with it."""

import atexit
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory, not a place for secrets

PREFIX: Final = "scoring-metrics-"
LOCK: Final = "in-use"


def memory() -> Path | None:
    """A file system in memory, where one can be written to."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None


@cache
def metrics_folder() -> Path:
    """One new folder for the life of the master: a reload of the configuration keeps it."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=memory()))
    _sweep(folder.parent)
    _lock(folder)
    atexit.register(_remove, folder, os.getpid())
    # Until gunicorn takes the signals over, a second later: die by TERM, but in an orderly way.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    return folder


def _remove(folder: Path, master: int) -> None:
    if os.getpid() == master:  # workers inherit the registration
        shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> None:
    """Hold a lock as long as this process or one of its workers lives, however they end."""
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sweep(parent: Path) -> None:
    for folder in left_over(parent):
        shutil.rmtree(folder, ignore_errors=True)


def left_over(parent: Path) -> Iterator[Path]:
    """What servers left that were killed outright; each is locked until the next is asked for."""
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock.parent
