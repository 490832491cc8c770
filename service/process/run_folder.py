"""The folder in which the workers keep their metrics: made by the master, gone with it."""

import atexit
import errno
import fcntl
import math
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from service.config.settings import SettingsError, of_this_server
from service.process import cpu_quota

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory, not a place for secrets

PREFIX: Final = "scoring-metrics-"
LOCK: Final = "in-use"

# What `service.telemetry.metrics.multiprocess` gives the files of one process.
PROCESS_BYTES: Final = 576 * 1024
# That of each kind of metrics.
PROCESS_FILES: Final = 6
# The folder, its lock and the heartbeats' files, which have no name for long.
_OTHER_FILES: Final = 8
_MIB: Final = 1 << 20


def temporary() -> Path | None:
    """The folder for temporary files; None if none can be written to."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def places() -> list[Path]:
    """Where metrics and heartbeats may be kept, the best first: in memory, or on a disk."""
    memory = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    return [place for place in (memory, temporary()) if place]


@cache
def metrics_folder() -> Path:
    """One new folder for the life of the master: a reload of the configuration keeps it.

    Raises SettingsError when there is no room. The files are mapped into memory: where they
    found none later, the kernel would end the process with SIGBUS, without a word.
    """
    workers = of_this_server().workers or cpu_quota.available()
    candidates = places()
    folder = _made(candidates, workers)
    if folder is None:
        raise no_room(workers)
    _lock(folder)
    atexit.register(_remove, folder, os.getpid())
    # Until gunicorn takes the signals over, a second later: die by TERM, but in an orderly way.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    return folder


def needed(workers: int) -> int:
    """The bytes that metrics take: of the master, and of two generations at a reload."""
    return (1 + 2 * workers) * PROCESS_BYTES


def needed_files(workers: int) -> int:
    """The files that these bytes are in, and some more: inodes, of which a disk may have few."""
    return (1 + 2 * workers) * PROCESS_FILES + _OTHER_FILES


def has_room(place: Path, workers: int) -> bool:
    """Whether the metrics of so many workers fit there."""
    return free(place) >= needed(workers) and free_files(place) >= needed_files(workers)


def no_room(workers: int) -> SettingsError:
    """That neither place has room for the metrics of so many workers, with the figures."""
    found = ", ".join(f"{place} has {_room(place, workers)}" for place in places())
    told = f"{workers} workers need {needed(workers) / _MIB:.1f} MiB for their metrics"
    subject = f"{_SHARED_MEMORY} or TMPDIR"
    return SettingsError(subject, f"{told}: {found or 'neither can be written to'}")


def free(place: Path) -> int:
    """The bytes that this user may still write there."""
    return shutil.disk_usage(place).free


def free_files(place: Path) -> float:
    """The files that this user may still make there, infinite where they are not counted."""
    found = os.statvfs(place)
    return found.f_favail if found.f_files else math.inf


def _room(place: Path, workers: int) -> str:
    room, files = f"{free(place) / _MIB:.1f}", needed_files(workers)
    lacks = free_files(place) < files
    return f"{room}, but {free_files(place)} free inodes of {files}" if lacks else room


def _made(candidates: Iterable[Path], workers: int) -> Path | None:
    for place in candidates:
        _sweep(place)
        if has_room(place, workers):
            with suppress(OSError):  # a quota of this user
                return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    return None


def _remove(folder: Path, master: int) -> None:
    if os.getpid() == master:  # workers inherit the registration
        shutil.rmtree(folder, ignore_errors=True)


def restore(folder: Path) -> bool:
    """Make the folder again if somebody removed it. Returns whether it was gone. Raises OSError.

    systemd removes what lies in /dev/shm of a user who logs out, cleaners what looks old in /tmp.
    """
    if (folder / LOCK).exists():
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_own(folder):
        raise PermissionError(errno.EPERM, "it is somebody else's", str(folder))
    _lock(folder)
    return True


def is_own(folder: Path) -> bool:
    """Whether it is a folder of this user: the name was free, and anybody may write beside it."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


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
