"""The files that hold the metrics of this process: their names and their allocation.

prometheus_client names them after the process id, so that each crash and each reload leaves
files behind for ever. Here they are named after the worker's place on the scoreboard. It also makes
them sparse: when the file system is full later, a write to the mapped memory kills the process by
SIGBUS. Here all bytes of a file are allocated before they are mapped.

What lies in shared memory or a temporary folder may be removed by a cleaner while the server
runs. The process that writes a file still has its content mapped, and writes it again.
"""

import logging
import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final

from prometheus_client import CollectorRegistry, multiprocess, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector

from service.runtime.run_folder import RunFolder, is_own

_MASTER: Final = "master"
# The kinds of files of a process and their first sizes, about twice what the bundled model's
# series take. A full file doubles.
_KIB: Final = 1024
BYTES: Final = {
    "counter": 128 * _KIB,
    "histogram": 128 * _KIB,
    "gauge_livemax": 128 * _KIB,
    "gauge_livemin": 64 * _KIB,
    "gauge_livesum": 64 * _KIB,
    "gauge_mostrecent": 64 * _KIB,
}
# The greatest size of an entry without its key: length, value, time and padding.
_ENTRY_BYTES: Final = 32
# A value and its time, both 0.
_SINK: Final = bytes(16)
# A file begins with the number of bytes in use.
_EMPTY: Final = bytes(8)

_place = _MASTER
# Those of this process.
_open: "Final[set[AllocatedDict]]" = set()

log = logging.getLogger("scoring")


class AllocatedDict(MmapedDict):
    """The values in one file, whose last bytes are a sink.

    Values that can't be allocated share the sink, which is never read: they are missing from the
    page until the file can grow. Known values cost no more than in the base class. Where the file
    can't be made, all are in memory of this process until it can.
    """

    def __init__(self, filename: str) -> None:  # the base class would not start without its file
        self._fname = filename
        self.is_in_memory = False
        self._f = self._opened(Path(filename))
        self._m = mmap.mmap(self._f.fileno(), 0)
        self._capacity = len(self._m) - len(_SINK)
        self._used = int.from_bytes(self._m[:4], sys.byteorder) or len(_EMPTY)
        self._m[:4] = self._used.to_bytes(4, sys.byteorder)
        self._positions: dict[str, int] = {
            key: position
            for key, _, _, position in self._read_all_values()  # type: ignore[no-untyped-call]
        }
        self._unallocated: set[str] = set()
        self._lock = Lock()
        _open.add(self)

    def close(self) -> None:
        """Let the file go."""
        _open.discard(self)
        super().close()  # type: ignore[no-untyped-call]

    def rewrite_if_removed(self) -> None:
        """Write the file again if it was removed, or could not be made. Raises OSError."""
        path = Path(self._fname)
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(self._f.fileno())):
                return
        if not is_own(path.parent):
            return  # the master is about to make it
        with self._lock:
            written = _written(path, len(self._m), self._m)
            self._m.close()
            self._f.close()
            self._f, self._m = written, mmap.mmap(written.fileno(), 0)
        self.is_in_memory = False

    def _opened(self, path: Path) -> BinaryIO:
        try:
            allocate_file(path)
            return path.open("r+b")
        except OSError as error:
            reason = error.strerror
        if not any(other.is_in_memory for other in _open):  # one line for all kinds
            log.error("Some metrics are missing: %s: %s", path, reason)
        self.is_in_memory = True
        memory = os.fdopen(os.memfd_create(path.name), "r+b")
        memory.truncate(_first_size(path))
        return memory

    def _init_value(self, key: str) -> None:
        with self._lock:  # no key between the copy of a file and its use
            try:
                self._make_room(len(key.encode()) + _ENTRY_BYTES)
            except OSError as error:
                self._use_sink(key, error)
            else:
                super()._init_value(key)  # type: ignore[no-untyped-call]

    def _make_room(self, more: int) -> None:
        while self._used + more > self._capacity:
            size = 2 * (self._capacity + len(_SINK))
            os.posix_fallocate(self._f.fileno(), 0, size)
            self._m = mmap.mmap(self._f.fileno(), size)
            self._capacity = size - len(_SINK)
            for key in self._unallocated:  # the next write allocates them
                del self._positions[key]
            self._unallocated.clear()

    def _use_sink(self, key: str, error: OSError) -> None:
        if not self._unallocated:
            log.error("Some metrics are missing: %s: %s", self._fname, error.strerror)
        self._unallocated.add(key)
        self._positions[key] = self._capacity
        self._m[self._capacity :] = _SINK


def install() -> None:
    """Name files after places, and allocate them, from now on. Call it before creating metrics."""
    module: Any = values
    module.MmapedDict = AllocatedDict
    module.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]


class FolderRemoved(Exception):
    """The folder of the metrics has just been removed."""


def collector(own: CollectorRegistry) -> Collector:
    """What all workers have counted; without files of values, what `own` has.

    Raises FolderRemoved.
    """
    if values.ValueClass is values.MutexValue:
        return own
    try:
        return multiprocess.MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    except ValueError:
        raise FolderRemoved from None


def bind_worker(place: int | str) -> None:
    """This process is the worker at a place; it goes on with the counts it finds there.

    A place is a number on the scoreboard, or a name without "_" of one beside it.
    """
    global _place  # noqa: PLW0603 - a process has one place, from its fork on
    _place = str(place)


def allocate(places: int, folder: Path) -> None:
    """Allocate the files of the first `places` places now. Raises OSError."""
    for place in range(places):
        for kind in BYTES:
            allocate_file(folder / f"{kind}_{place}.db")


def restore_folder(places: int, folder: RunFolder) -> None:
    """In the master: create the folder and its allocated files again if they were removed.

    Raises OSError.
    """
    if folder.restore():
        log.warning("The folder of the metrics was removed and is created again: %s", folder.path)
        allocate(places, folder.path)
    rewrite_removed()


def rewrite_removed() -> None:
    """Write the files of this process again that were removed. Raises OSError."""
    for values_of_a_kind in tuple(_open):
        values_of_a_kind.rewrite_if_removed()


def allocate_file(path: Path) -> None:
    """Make a file unless it exists. Raises OSError."""
    if not path.exists():
        _written(path, _first_size(path)).close()


def _first_size(path: Path) -> int:
    return BYTES[path.name.rpartition("_")[0]]


def _written(path: Path, size: int, content: bytes | mmap.mmap = b"") -> BinaryIO:
    """A file that appears as a whole, allocated. Raises OSError.

    Another worker's GET /metrics may read it at any time, and fails on an empty file.
    """
    unfinished = path.with_suffix(f".{os.getpid()}")
    file = unfinished.open("w+b")
    try:
        os.posix_fallocate(file.fileno(), 0, size)
        file.write(content)
        file.flush()
        unfinished.replace(path)
    except OSError:
        file.close()
        unfinished.unlink(missing_ok=True)
        raise
    return file


def clear_live_gauges(place: int | str, folder: Path) -> None:
    """Clear the gauges of a worker that has ended, which were true only while it ran.

    The files stay allocated for its successor.
    """
    for path in folder.glob(f"gauge_live*_{place}.db"):
        with path.open("r+b") as file:
            file.write(_EMPTY)
