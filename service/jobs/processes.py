"""A process of a job worker: its name, its priority and memory, whether it has died."""

import os
import resource
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

# Scoring processes of the same machine come first.
NICENESS: Final = 10


_STATUS: Final = Path("/proc/self/status")
_MIB: Final = 1 << 20


def limit_memory(mebibytes: int) -> None:
    """Let this process take so much memory beyond what it has now; then it gets MemoryError.

    Without it, one table could take that of the whole machine. Linux counts the memory of data
    alone, not address space that libraries only reserve; other systems have no such limit.
    """
    with suppress(OSError, ValueError):  # a lower limit holds already
        (taken,) = (
            int(line.split()[1]) * 1024
            for line in _STATUS.read_text("ascii", "replace").splitlines()
            if line.startswith("VmData:")
        )
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (taken + mebibytes * _MIB, hard))


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
        # A zombie still has its number.
        return Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except ProcessLookupError:
        return True
    except OSError:
        return False
