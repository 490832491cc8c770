"""Which files the values of this process are in.

prometheus_client names them after the process id, so that each crash and each reload leaves
files behind for ever. Here they are named after the worker's place on the board.
"""

from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, multiprocess, values
from prometheus_client.registry import Collector

_MASTER: Final = "master"
# prometheus_client maps a file of this size as it is; of a greater need it doubles it.
_FILE_BYTES: Final = 1 << 16

_place = _MASTER


def use_places() -> None:
    """Name the files after places from now on. Before any metric is made."""
    values.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]


def collector(own: CollectorRegistry) -> Collector:
    """What all workers have counted; what `own` has, where no values are in files."""
    if values.ValueClass is values.MutexValue:
        return own
    return multiprocess.MultiProcessCollector(None)  # type: ignore[no-untyped-call]


def take(place: int, folder: Path) -> None:
    """This process is the worker at a place; it goes on with the counts it finds there."""
    global _place  # noqa: PLW0603 - a process has one place, from its fork on
    _place = str(place)
    _lay_files(folder)


def _lay_files(folder: Path) -> None:
    """Make the files that this process will write, each whole at once.

    prometheus_client makes a file and then its size; who merges the files meanwhile, for another
    worker's GET /metrics, reads an empty one and fails.
    """
    for masters in folder.glob(f"*_{_MASTER}.db"):
        own = masters.with_name(masters.name.replace(_MASTER, _place))
        if not own.exists():
            unfinished = own.with_suffix(".new")
            unfinished.write_bytes(bytes(_FILE_BYTES))
            unfinished.replace(own)


def leave(place: int) -> None:
    """The worker at a place is gone, and so are the values that only held while it lived."""
    multiprocess.mark_process_dead(place)  # type: ignore[no-untyped-call]
