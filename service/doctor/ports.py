"""Whether the server can listen where it is told to."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.config import addresses
from service.config.settings import Settings
from service.doctor import listeners
from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.listeners import Listener
from service.doctor.machine import Machine
from service.process.listening import LONGEST_PATH

_RANGE: Final = "proc/sys/net/ipv4/ip_local_port_range"
_RESERVED: Final = "proc/sys/net/ipv4/ip_local_reserved_ports"


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


def borrowed_ports(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Whether an outgoing connection may have a port on loan when the server starts."""
    metrics = settings.metrics_address
    ports = [] if settings.host.startswith("unix:") else [settings.port]
    ports += [metrics[1]] if metrics else []
    first, last = map(int, machine.text(_RANGE).split())
    lent = [p for p in ports if first <= p <= last and not _is_reserved(machine, p)]
    if lent:
        found = f"outgoing connections take ports {first}-{last}, and {lent[0]} is one of them"
        mend = f"a port below {first}, or sysctl net.ipv4.ip_local_reserved_ports={lent[0]}"
        yield warn("borrowed ports", found, f"{mend}: a start would fail now and then")
    elif ports:
        yield ok("borrowed ports", f"outgoing connections take others, {first}-{last}")


def _tcp(name: str, machine: Machine, host: str, port: int) -> Finding:
    """Bind as gunicorn does and let go at once: without `listen` nobody is in anybody's way."""
    shown = addresses.joined(host, port)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            mend = "a port from 1024 on, or the capability CAP_NET_BIND_SERVICE"
            return fail(name, f"this user may not listen at {shown}", mend)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return _taken(name, shown, listeners.at_port(machine, port))
            mend = "an address of this machine, or 0.0.0.0 for all it has"
            return fail(name, f"{shown}: {os.strerror(error.errno or 0)}", mend)
    return ok(name, f"{shown} is free")


def _unix(machine: Machine, path: Path) -> Finding:
    if len(os.fsencode(path)) > LONGEST_PATH:
        return fail("address", f"a socket's path may have {LONGEST_PATH} bytes", "a shorter one")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        found = f"{path.parent} is not there, or not to be written to"
        return fail("address", found, f"mkdir -p {path.parent}, for the user who serves")
    if not path.exists():
        return ok("address", f"{path} is free")
    if not stat.S_ISSOCK(path.stat().st_mode):
        return fail("address", f"{path} is there, and is no socket", "remove it, or another path")
    # A start takes the path from whoever has it, without a word.
    if holder := listeners.at_path(machine, path):
        return _taken("address", str(path), holder)
    return ok("address", f"{path} is left over: a start replaces it")


def _taken(name: str, shown: str, holder: Listener | None) -> Finding:
    if holder and holder.ours:
        return ok(name, f"this service already listens at {shown}, {holder}")
    who = holder or "a process that this user can't see"
    return fail(name, f"{shown} is taken by {who}", "stop it, or set another SCORING_ address")


def _is_reserved(machine: Machine, port: int) -> bool:
    for part in filter(None, machine.text(_RESERVED).split(",")):
        first, _, last = part.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False
