"""The files that hold the metrics of this process: their names and their allocation.

prometheus_client names them after the process id, so that each crash and each reload leaves
files behind for ever. Here they are named after the worker's place on the board. It also makes
them sparse: when the file system is full later, a write to the mapped memory kills the process by
SIGBUS. Here all bytes of a file are allocated before they are mapped.
"""

import logging
import mmap
import os
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, multiprocess, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector

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

log = logging.getLogger("scoring")


class RoomyDict(MmapedDict):
    """The values in one file, whose last bytes are a sink.

    Values that can't be allocated share the sink, which nobody reads: they are missing from the
    page until the file can grow. Known values cost no more than in the base class.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        if not read_mode:
            lay(Path(filename))
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        self._capacity -= len(_SINK)
        self._unallocated: set[str] = set()

    def _init_value(self, key: str) -> None:
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


def use_places() -> None:
    """Name files after places, and allocate them, from now on. Call it before making metrics."""
    module: Any = values
    module.MmapedDict = RoomyDict
    module.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]


def collector(own: CollectorRegistry) -> Collector:
    """What all workers have counted; what `own` has, where no values are in files."""
    if values.ValueClass is values.MutexValue:
        return own
    return multiprocess.MultiProcessCollector(None)  # type: ignore[no-untyped-call]


def take(place: int) -> None:
    """This process is the worker at a place; it goes on with the counts it finds there."""
    global _place  # noqa: PLW0603 - a process has one place, from its fork on
    _place = str(place)


def reserve(places: int, folder: Path) -> None:
    """Allocate the files of the first `places` places now. Raises OSError."""
    for place in range(places):
        for kind in BYTES:
            lay(folder / f"{kind}_{place}.db")


def lay(path: Path) -> None:
    """Make a file unless it exists. It appears allocated as a whole. Raises OSError.

    Another worker's GET /metrics may read it at any time, and fails on an empty file.
    """
    if path.exists():
        return
    size = BYTES[path.name.rpartition("_")[0]]
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(path)


def leave(place: int, folder: Path) -> None:
    """Clear the gauges of a worker that has ended, which were true only while it ran.

    The files stay allocated for its successor.
    """
    for path in folder.glob(f"gauge_live*_{place}.db"):
        with path.open("r+b") as file:
            file.write(_EMPTY)
