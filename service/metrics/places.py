"""Which files the values of this process are in.

prometheus_client names them after the process id, so that each crash and each reload leaves
files behind for ever. Here they are named after the worker's place on the board.
"""

from prometheus_client import multiprocess, values

_place = "master"


def use_places() -> None:
    """Name the files after places from now on. Before any metric is made."""
    values.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]


def take(place: int) -> None:
    """This process is the worker at a place; it goes on with the counts it finds there."""
    global _place  # noqa: PLW0603 - a process has one place, from its fork on
    _place = str(place)


def leave(place: int) -> None:
    """The worker at a place is gone, and so are the values that only held while it lived."""
    multiprocess.mark_process_dead(place)  # type: ignore[no-untyped-call]
