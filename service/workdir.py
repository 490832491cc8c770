"""The folder in which the workers keep their metrics: made by the master, gone with it."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory, not a place for secrets


def memory() -> Path | None:
    """A file system in memory, where one can be written to."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None


@cache
def metrics_folder() -> Path:
    """One new folder for the life of the master: a reload of the configuration keeps it."""
    folder = Path(tempfile.mkdtemp(prefix="scoring-metrics-", dir=memory()))
    atexit.register(_remove, folder, os.getpid())
    # Until gunicorn takes the signals over, a second later: die by TERM, but in an orderly way.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    return folder


def _remove(folder: Path, master: int) -> None:
    if os.getpid() == master:  # workers inherit the registration
        shutil.rmtree(folder, ignore_errors=True)
