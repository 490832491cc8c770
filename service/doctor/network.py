"""Addresses: whether the server can listen, and whether Sentry and the collector can be reached."""

import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from msgspec import Struct

from service.config import addresses
from service.config.settings import Settings
from service.doctor.finding import Finding, fail, ok, unknown, warn
from service.doctor.machine import Machine
from service.process.listening import LONGEST_PATH
from service.telemetry.tracing import INSTALL

_LISTENING: Final = "0A"
# Of /proc/net/unix: the flag of a socket that connections are accepted at.
_ACCEPTING: Final = 0x10000
_INODE: Final = re.compile(r"socket:\[(\d+)\]")
_OURS: Final = "service/gunicorn.conf.py"
_SECONDS: Final = 1.0
_PORTS: Final = {"http": 80, "https": 443}
_EXTRA: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


class Listener(Struct, frozen=True):
    """A process, by its id and the name of its program, and whether it is this service's."""

    pid: int
    program: str
    ours: bool

    def __str__(self) -> str:
        """Its id and its program, and no argument: those may hold secrets."""
        return f"process {self.pid} ({self.program})"


def address(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """The public address."""
    if settings.host.startswith("unix:"):
        yield _unix(machine, Path(settings.host.removeprefix("unix:")))
    else:
        yield _tcp("address", machine, settings.host.strip("[]"), settings.port)


def metrics_address(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """The metrics' own address, if they have one."""
    if settings.metrics_address:
        yield _tcp("metrics address", machine, *settings.metrics_address)


def _tcp(name: str, machine: Machine, host: str, port: int) -> Finding:
    """Bind as gunicorn does, and close at once: without `listen` no other process is disturbed."""
    shown = addresses.joined(host, port)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            remedy = "a port from 1024 on, or the capability CAP_NET_BIND_SERVICE"
            return fail(name, f"this user may not listen at {shown}", remedy)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return _taken(name, shown, _process_at_port(machine, port))
            remedy = "an address of this machine, or 0.0.0.0 for all it has"
            return fail(name, f"{shown}: {os.strerror(error.errno or 0)}", remedy)
    return ok(name, f"{shown} is free")


def _unix(machine: Machine, path: Path) -> Finding:
    if len(os.fsencode(path)) > LONGEST_PATH:
        return fail("address", f"a socket's path may have {LONGEST_PATH} bytes", "a shorter one")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        state = f"{path.parent} is not there, or not to be written to"
        return fail("address", state, f"mkdir -p {path.parent}, for the user who serves")
    if not path.exists():
        return ok("address", f"{path} is free")
    if not stat.S_ISSOCK(path.stat().st_mode):
        return fail("address", f"{path} exists and is not a socket", "remove it, or another path")
    # A start would take the path from a running server without notice.
    if holder := _process_at_path(machine, path):
        return _taken("address", str(path), holder)
    return ok("address", f"{path} is left over: a start replaces it")


def _taken(name: str, shown: str, holder: Listener | None) -> Finding:
    if holder and holder.ours:
        return ok(name, f"this service already listens at {shown}, {holder}")
    who = holder or "a process that this user can't see"
    return fail(name, f"{shown} is taken by {who}", "stop it, or set another SCORING_ address")


def _process_at_port(machine: Machine, port: int) -> Listener | None:
    """The process that listens at a TCP port; None if no visible one does."""
    return _holder(machine, set(_inodes_of_port(machine, port)))


def _process_at_path(machine: Machine, path: Path) -> Listener | None:
    """The process that accepts connections at a Unix socket; None if no visible one does."""
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
            if match := _INODE.fullmatch(str(link.readlink())):
                yield match[1]
    except OSError:
        return


def _listener(process: Path) -> Listener:
    arguments = (process / "cmdline").read_text("utf-8", "replace").split("\0")
    program = (process / "comm").read_text("utf-8", "replace").strip()
    ours = any(argument.endswith(_OURS) for argument in arguments)
    return Listener(int(process.name), program, ours)


def sentry(settings: Settings) -> Iterator[Finding]:
    """The server that takes reports of errors."""
    if settings.sentry_dsn:
        yield _reached("Sentry", settings.sentry_dsn, "reports of errors are lost")
    else:
        yield ok("Sentry", "off")


def traces(settings: Settings, wanted: tuple[str, ...] = _EXTRA) -> Iterator[Finding]:
    """The collector of traces, and the packages that send them."""
    if not settings.otlp_endpoint:
        yield ok("traces", "off")
    elif not all(map(_is_installed, wanted)):
        yield fail("traces", "SCORING_OTLP_ENDPOINT needs packages that are not installed", INSTALL)
    else:
        yield _reached("traces", settings.otlp_endpoint, "traces are lost")


def _reached(name: str, url: str, loss: str) -> Finding:
    """Whether a connection opens. Only host and port are shown: a DSN holds a key."""
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    shown = f"{parts.hostname}:{port}"
    if parts.scheme in getproxies():
        return unknown(name, f"{shown} is reached through a proxy")
    if _opens(str(parts.hostname), port):
        return ok(name, f"{shown} takes connections")
    remedy = f"check the address and the firewall: until then {loss}"
    return warn(name, f"no connection to {shown} in {_SECONDS:g} s", remedy)


def _opens(host: str, port: int) -> bool:
    """Whether a connection opens in time. In a thread: a name may take longer to resolve."""
    opened = []

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=_SECONDS).close()
        except (OSError, UnicodeError):
            return
        opened.append(True)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return bool(opened)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
