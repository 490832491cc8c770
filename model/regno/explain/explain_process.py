"""The process that works out contributions.

Started as `python -m model.regno.explain.explain_process PIPE MODEL`.

Both arguments are file descriptors: of the connection that rows come by, and of the pickled
model. It ends when the other end of the connection does.
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
    from model.regno.model_file.catboost_file import BinaryModel

_LEAST_URGENT: Final = 19


def _give_way() -> None:
    """Take only the processor's time that nobody else wants, what is left to do here included."""
    os.nice(_LEAST_URGENT)
    with suppress(OSError):  # not everywhere allowed, and only better
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    """Answer rows with their contributions, or with the reason that kept from it."""
    connection = Connection(int(sys.argv[1]))
    with Path(f"/proc/self/fd/{sys.argv[2]}").open("rb") as file:
        model: BinaryModel = pickle.load(file)  # noqa: S301 - from the process that started this
    os.close(int(sys.argv[2]))
    with suppress(EOFError, OSError):
        while True:
            rows = connection.recv()
            try:
                connection.send(model.contributions(rows))
            except NotExplained as reason:
                connection.send(str(reason))


if __name__ == "__main__":
    _give_way()
    main()
