"""The process that computes contributions.

Started as `python -m model.regno.explain.process PIPE MODEL`.

Both arguments are file descriptors: of the connection to the parent, and of the pickled `Source`.
The process ends when the parent closes the connection.
"""

import os
import pickle
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from model.errors import NotExplained

if TYPE_CHECKING:
    from model.regno.explain.cached import Source

_LOWEST_PRIORITY: Final = 19


def _run_when_idle() -> None:
    """Lower the priority to idle: scoring comes first."""
    os.nice(_LOWEST_PRIORITY)
    with suppress(OSError):  # not allowed everywhere, and optional
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    """Answer each batch of rows with its contributions, or with the reason why there are none.

    With either goes what a cache had of the rows.
    """
    connection = Connection(int(sys.argv[1]))
    with Path(f"/proc/self/fd/{sys.argv[2]}").open("rb") as file:
        source: Source = pickle.load(file)  # noqa: S301 - from the process that started this
    os.close(int(sys.argv[2]))
    contributions_of = source.open()
    with suppress(EOFError, OSError):
        while True:
            rows = connection.recv()
            try:
                connection.send(contributions_of(rows))
            except NotExplained as reason:
                connection.send((str(reason), {}))


if __name__ == "__main__":
    _run_when_idle()
    main()
