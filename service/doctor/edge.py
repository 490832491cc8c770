"""The proxy in front: whether it lets go of idle connections before the service does.

The project's own is the package `service.edge`, where it is installed; another proxy is taken
to be an nginx with its defaults.
"""

import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from service.config.settings import Settings
from service.doctor import certificates, files
from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine

_PACKAGE: Final = "service.edge"
# nginx's `keepalive_timeout` of an upstream, in seconds.
_USUAL_IDLE: Final = 60
_NEARLY_FULL: Final = 0.1


def edge(
    machine: Machine, settings: Settings, dotenv: Path, package: str = _PACKAGE
) -> Iterator[Finding]:
    """The edge's settings beside the service's."""
    yield keepalive(settings, _idle_seconds(package))
    if not find_spec(package):
        return
    module = import_module(f"{package}.settings")
    try:
        found = module.load(dotenv=dotenv)
    except module.SettingsError as error:
        yield fail("edge", str(error), "python -m service.edge --help lists its settings")
        return
    if names := module.unknown_variables(dotenv=dotenv):
        yield warn("edge", f"nothing reads {', '.join(names)}", "python -m service.edge --help")
    yield largest_body(settings, found.max_body)
    yield from room(Path(found.workdir), found.bytes_needed)
    yield reach(found.admin_addresses)
    yield from _secrets(machine, found)
    if found.certificate:
        yield from certificates.servers(Path(found.certificate), Path(found.certificate_key))
    if found.client_ca:
        yield from certificates.authority(Path(found.client_ca))


def keepalive(settings: Settings, idle: int) -> Finding:
    """Who closes an idle connection first: if it is the service, a request may just be coming."""
    shown = f"kept {settings.keepalive} s here, {idle} s by the proxy in front"
    if settings.keepalive <= idle:
        mend = f"SCORING_KEEPALIVE={idle + 15}: else its clients see a 502 now and then"
        return warn("keep-alive", shown, mend)
    return ok("keep-alive", shown)


def largest_body(settings: Settings, allowed: int) -> Finding:
    """Whether the edge lets pass what the service takes."""
    wanted = settings.max_array_body
    if allowed < wanted:
        found = f"the edge lets {allowed:,} bytes pass, the service takes {wanted:,}"
        return warn("edge bodies", found, f"EDGE_MAX_BODY={wanted}")
    return ok("edge bodies", f"up to {allowed:,} bytes pass the edge")


def room(folder: Path, needed: int) -> Iterator[Finding]:
    """Whether the edge's folder, if it is here, holds what may lie there, and still does."""
    if not folder.is_dir():
        return
    usage = shutil.disk_usage(folder)
    shown = f"{folder} has {usage.total:,} bytes, {usage.free:,} of them free"
    if usage.total < needed:
        mend = (
            f"a larger one, or EDGE_WORKDIR_BYTES={usage.total} and a smaller EDGE_LARGE_REQUESTS"
        )
        yield warn("edge room", f"{shown}; up to {needed:,} are used", mend)
    elif usage.free < usage.total * _NEARLY_FULL:
        mend = "make room there: large bodies are refused with 503 once it is full"
        yield warn("edge room", shown, mend)
    else:
        yield ok("edge room", shown)


def reach(admin_addresses: str) -> Finding:
    """Who gets through the edge to what changes the model."""
    if admin_addresses == "all":
        found = "everybody reaches /model, and a key alone is between"
        return warn("edge admins", found, "EDGE_ADMIN_ADDRESSES: the addresses of admins")
    return ok("edge admins", f"/model is passed on from {admin_addresses}")


def _idle_seconds(package: str) -> int:
    """How long the edge keeps a connection to the service; nginx's default where there is none."""
    try:
        seconds: int = import_module(f"{package}.config").SERVICE_IDLE_SECONDS
    except ImportError:  # no edge, or not what makes its configuration
        return _USUAL_IDLE
    return seconds


def _secrets(machine: Machine, found: Any) -> Iterator[Finding]:
    """The edge's own files that hold secrets, if they are on this machine."""
    for name in ("certificate_key", "client_keys_file"):
        path = Path(getattr(found, name) or "/nowhere")
        if path.exists():
            yield files.secret(f"edge {name.replace('_', ' ')}", path, machine)
