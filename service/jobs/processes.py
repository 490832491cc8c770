"""A process of a job worker: its name, its priority, whether it has died."""

import os
import socket
from typing import Final

# Scoring processes of the same machine come first.
NICENESS: Final = 10


def worker_name(pid: int) -> str:
    """Return the name of a process of this machine, under which it claims jobs."""
    return f"{socket.gethostname()}:{pid}"


def is_dead(worker: str) -> bool:
    """Whether a worker was a process of this machine and is no more."""
    host, _, pid = worker.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False
