"""Which process listens at a port or a Unix socket."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from service.doctor.machine import Machine

_LISTENING: Final = "0A"
# Of /proc/net/unix: the flag of a socket that connections are accepted at.
_ACCEPTING: Final = 0x10000
_INODE: Final = re.compile(r"socket:\[(\d+)\]")
_OURS: Final = "service/gunicorn.conf.py"


class Listener(Struct, frozen=True):
    """A process, by its id and the name of its program, and whether it is this service's."""

    pid: int
    program: str
    ours: bool

    def __str__(self) -> str:
        """Its id and its program, and no argument: those may hold secrets."""
        return f"process {self.pid} ({self.program})"


def at_port(machine: Machine, port: int) -> Listener | None:
    """Who listens at a TCP port; None when nobody does who can be seen."""
    return _holder(machine, set(_inodes_of_port(machine, port)))


def at_path(machine: Machine, path: Path) -> Listener | None:
    """Who accepts connections at a Unix socket; None when nobody does who can be seen."""
    rows = (line.split(maxsplit=7) for line in machine.text("proc/net/unix").splitlines()[1:])
    here = (row for row in rows if len(row) == 8 and row[7] == str(path))
    return _holder(machine, {row[6] for row in here if int(row[3], 16) & _ACCEPTING})


def _inodes_of_port(machine: Machine, port: int) -> Iterator[str]:
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        if not (machine.root / table).exists():
            continue
        for line in machine.text(table).splitlines()[1:]:
            row = line.split()
            if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port:
                yield row[9]


def _holder(machine: Machine, inodes: set[str]) -> Listener | None:
    """The first process that has one of the sockets open: a master before its workers."""
    if not inodes:
        return None
    numbers = sorted(int(path.name) for path in (machine.root / "proc").glob("[0-9]*"))
    for pid in numbers:
        folder = machine.root / "proc" / str(pid)
        if not inodes.isdisjoint(_sockets(folder)):
            return _listener(folder)
    return None


def _sockets(process: Path) -> Iterator[str]:
    """The sockets of a process; none of one that has ended or belongs to another user."""
    try:
        for link in (process / "fd").iterdir():
            if found := _INODE.fullmatch(str(link.readlink())):
                yield found[1]
    except OSError:
        return


def _listener(process: Path) -> Listener:
    arguments = (process / "cmdline").read_text("utf-8", "replace").split("\0")
    program = (process / "comm").read_text("utf-8", "replace").strip()
    ours = any(argument.endswith(_OURS) for argument in arguments)
    return Listener(int(process.name), program, ours)
