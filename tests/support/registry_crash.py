"""`python -m tests.support.registry_crash FOLDER STEP NUMBER`: a writer that kills itself.

It takes one step on a registry and gets SIGKILL right before its file operation of this
number; with fewer operations it ends well.
"""

import os
import signal
import sys
from pathlib import Path

from model.registry import Registry
from model.registry.file_store import FileStore
from tests.support.registry import files, no_check

_OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock")


def main(folder: str, step: str, number: str) -> None:
    left = int(number)

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        ours = event == "fcntl.flock" or any(folder in str(given) for given in arguments)
        if event in _OPERATIONS and ours:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    registry = Registry(FileStore(Path(folder), "model.cbm"), no_check)
    sys.addaudithook(count)
    if step == "add":
        registry.add(files("new", b"new" * 1000))
    elif step == "promote":
        registry.promote("v2", who="a")
    else:
        registry.rollback(who="a")


if __name__ == "__main__":
    main(*sys.argv[1:])
