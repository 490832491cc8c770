"""The folder in which the workers keep their metrics, created by the master."""

import atexit
import errno
import fcntl
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from service.config.settings import SettingsError

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory, not a place for secrets

PREFIX: Final = "scoring-metrics-"
LOCK: Final = "in-use"

# What `service.telemetry.metrics.multiprocess` gives the files of one process.
PROCESS_BYTES: Final = 576 * 1024
# One for each kind of metrics.
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


def candidates() -> list[Path]:
    """Where metrics and heartbeats may be kept, the best first: in memory, or on a disk."""
    memory = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    return [place for place in (memory, temporary()) if place]


class RunFolder:
    """A new folder for metrics and heartbeats: created by the master, removed when it ends.

    A lock in it is held as long as the master or one of its workers lives, however they end.
    """

    def __init__(self, workers: int) -> None:
        """Raises SettingsError if the metrics of so many workers fit nowhere.

        The files are mapped into memory: without room later, the kernel would kill the process
        with SIGBUS.
        """
        path = _created(candidates(), workers)
        if path is None:
            raise no_room(workers)
        self.path = path
        self._lock()
        atexit.register(self._remove, os.getpid())

    def restore(self) -> bool:
        """Create the folder again if it was removed. Returns whether it was. Raises OSError.

        systemd removes a user's files in /dev/shm at logout, cleaners remove old files in /tmp.
        """
        if (self.path / LOCK).exists():
            return False
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_own(self.path):
            raise PermissionError(errno.EPERM, "it belongs to another user", str(self.path))
        self._lock()
        return True

    def _lock(self) -> None:
        descriptor = os.open(self.path / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _remove(self, master: int) -> None:
        if os.getpid() == master:  # workers inherit the registration
            shutil.rmtree(self.path, ignore_errors=True)


def needed(workers: int) -> int:
    """The bytes that metrics take: of the master, and of two generations during a reload."""
    return (1 + 2 * workers) * PROCESS_BYTES


def needed_files(workers: int) -> int:
    """The files that these bytes are in, and some more: inodes, of which a disk may have few."""
    return (1 + 2 * workers) * PROCESS_FILES + _OTHER_FILES


def has_room(place: Path, workers: int) -> bool:
    """Whether the metrics of so many workers fit there."""
    return free(place) >= needed(workers) and free_files(place) >= needed_files(workers)


def no_room(workers: int) -> SettingsError:
    """The error that the metrics of so many workers fit nowhere, with the figures."""
    rooms = ", ".join(f"{place} has {_room(place, workers)}" for place in candidates())
    need = f"{workers} workers need {needed(workers) / _MIB:.1f} MiB for their metrics"
    subject = f"{_SHARED_MEMORY} or TMPDIR"
    return SettingsError(subject, f"{need}: {rooms or 'neither can be written to'}")


def free(place: Path) -> int:
    """The bytes that this user may still write there."""
    return shutil.disk_usage(place).free


def free_files(place: Path) -> float:
    """The files that this user may still make there, infinite where they are not counted."""
    system = os.statvfs(place)
    return system.f_favail if system.f_files else math.inf


def _room(place: Path, workers: int) -> str:
    room, files = f"{free(place) / _MIB:.1f}", needed_files(workers)
    lacks = free_files(place) < files
    return f"{room}, but {free_files(place)} free inodes of {files}" if lacks else room


def _created(folders: Iterable[Path], workers: int) -> Path | None:
    for place in folders:
        _sweep(place)
        if has_room(place, workers):
            with suppress(OSError):  # a quota of this user
                return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    return None


def is_own(folder: Path) -> bool:
    """Whether it is a folder of this user: others may have taken the name in a shared folder."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _sweep(parent: Path) -> None:
    for folder in left_over(parent):
        shutil.rmtree(folder, ignore_errors=True)


def left_over(parent: Path) -> Iterator[Path]:
    """Folders of servers that were killed; each is locked until the next one is yielded."""
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock.parent
