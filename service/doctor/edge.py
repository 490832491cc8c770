"""The proxy in front: its idle connections, limits, folder, secrets and certificates.

The project's own is the package `service.edge`, where it is installed; another proxy is taken
to be an nginx with its defaults.
"""

import shutil
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from service.config.settings import Settings
from service.doctor import files
from service.doctor.finding import Finding, fail, ok, unknown, warn
from service.doctor.machine import Machine

_PACKAGE: Final = "service.edge"
# nginx's `keepalive_timeout` of an upstream, in seconds.
_USUAL_IDLE: Final = 60
_NEARLY_FULL: Final = 0.1
_SOON: Final = timedelta(days=7)
_REPLACE: Final = "put a new one in its place, and send nginx a HUP"


def edge(
    machine: Machine, settings: Settings, dotenv: Path, package: str = _PACKAGE
) -> Iterator[Finding]:
    """The edge's settings against the service's."""
    yield keepalive(settings, _idle_seconds(package))
    if not find_spec(package):
        return
    module = import_module(f"{package}.settings")
    try:
        edge_settings = module.load(dotenv=dotenv)
    except module.SettingsError as error:
        yield fail("edge", str(error), "python -m service.edge --help lists its settings")
        return
    if names := module.unknown_variables(dotenv=dotenv):
        yield warn("edge", f"nothing reads {', '.join(names)}", "python -m service.edge --help")
    yield largest_body(settings, edge_settings.max_body)
    yield from room(Path(edge_settings.workdir), edge_settings.bytes_needed)
    yield reach(edge_settings.admin_addresses)
    yield from _secrets(machine, edge_settings)
    if edge_settings.certificate:
        yield from server_certificate(
            Path(edge_settings.certificate), Path(edge_settings.certificate_key)
        )
    if edge_settings.client_ca:
        yield from client_authority(Path(edge_settings.client_ca))


def keepalive(settings: Settings, idle: int) -> Finding:
    """Who closes an idle connection first: if it is the service, a request may just be coming."""
    shown = f"kept {settings.keepalive} s here, {idle} s by the proxy in front"
    if settings.keepalive <= idle:
        remedy = f"SCORING_KEEPALIVE={idle + 15}: else its clients see a 502 now and then"
        return warn("keep-alive", shown, remedy)
    return ok("keep-alive", shown)


def largest_body(settings: Settings, allowed: int) -> Finding:
    """Whether the edge lets pass what the service takes."""
    wanted = settings.max_array_body
    if allowed < wanted:
        state = f"the edge lets {allowed:,} bytes pass, the service takes {wanted:,}"
        return warn("edge bodies", state, f"EDGE_MAX_BODY={wanted}")
    return ok("edge bodies", f"up to {allowed:,} bytes pass the edge")


def room(folder: Path, needed: int) -> Iterator[Finding]:
    """Whether the edge's folder, if it is here, holds what may lie there, and still does."""
    if not folder.is_dir():
        return
    usage = shutil.disk_usage(folder)
    shown = f"{folder} has {usage.total:,} bytes, {usage.free:,} of them free"
    if usage.total < needed:
        remedy = (
            f"a larger one, or EDGE_WORKDIR_BYTES={usage.total} and a smaller EDGE_LARGE_REQUESTS"
        )
        yield warn("edge room", f"{shown}; up to {needed:,} are used", remedy)
    elif usage.free < usage.total * _NEARLY_FULL:
        remedy = "make room there: large bodies are refused with 503 once it is full"
        yield warn("edge room", shown, remedy)
    else:
        yield ok("edge room", shown)


def reach(admin_addresses: str) -> Finding:
    """Who gets through the edge to what changes the model."""
    if admin_addresses == "all":
        state = "all addresses reach /model: only a key protects it"
        return warn("edge admins", state, "EDGE_ADMIN_ADDRESSES: the addresses of admins")
    return ok("edge admins", f"/model is passed on from {admin_addresses}")


def _idle_seconds(package: str) -> int:
    """How long the edge keeps a connection to the service; nginx's default where there is none."""
    try:
        seconds: int = import_module(f"{package}.config").SERVICE_IDLE_SECONDS
    except ImportError:  # no edge, or not what makes its configuration
        return _USUAL_IDLE
    return seconds


def _secrets(machine: Machine, edge_settings: Any) -> Iterator[Finding]:
    """The edge's own files that hold secrets, if they are on this machine."""
    for name in ("certificate_key", "client_keys_file"):
        path = Path(getattr(edge_settings, name) or "/nowhere")
        if path.exists():
            yield files.secret(f"edge {name.replace('_', ' ')}", path, machine)


def server_certificate(path: Path, key: Path, now: datetime | None = None) -> Iterator[Finding]:
    """Whether the server's certificate belongs to its key, is good for a server, and lasts."""
    name = "edge certificate"
    try:
        end = _shown_to_a_client(path, key)
    except FileNotFoundError:
        return
    except PermissionError:
        yield unknown(name, f"this user may not read {path} and {key}")
    except ssl.SSLCertVerificationError as error:
        yield fail(name, f"{path}: clients refuse it: {error.verify_message}", _REPLACE)
    except ssl.SSLError as error:
        reason = (error.reason or "one of them can't be read").lower().replace("_", " ")
        yield fail(name, f"{path} with {key}: {reason}", "give nginx a certificate and its own key")
    else:
        yield _lasting(name, path, end, now)


def client_authority(path: Path, now: datetime | None = None) -> Iterator[Finding]:
    """Whether there are authorities for clients' certificates in a file, and all of them last."""
    context, name = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "edge client authority"
    try:
        context.load_verify_locations(path)
    except FileNotFoundError:
        return
    except PermissionError:
        yield unknown(name, f"this user may not read {path}")
        return
    except ssl.SSLError:
        yield fail(name, f"{path} holds no certificate that can be read", _REPLACE)
        return
    ends = [_moment(str(one["notAfter"])) for one in context.get_ca_certs()]
    if ends:
        yield _lasting(name, path, min(ends), now)
    else:
        yield fail(name, f"{path} holds no certificate of an authority", _REPLACE)


def _lasting(name: str, path: Path, end: datetime, now: datetime | None) -> Finding:
    now = now or datetime.now(UTC)
    if end < now:
        return fail(name, f"{path} has expired on {end:%Y-%m-%d}", _REPLACE)
    if end < now + _SOON:
        return warn(name, f"{path} expires on {end:%Y-%m-%d %H:%M} UTC", _REPLACE)
    return ok(name, f"good until {end:%Y-%m-%d}")


def _shown_to_a_client(path: Path, key: Path) -> datetime:
    """The end of a certificate, as a client sees it that trusts only this certificate.

    Raises ssl.SSLError, and OSError when a file can't be read.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # nginx can't use a key under a password either: never prompt for one.
    server.load_cert_chain(path, key, password=lambda: b"")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(path)
    return _moment(str((_peer_after_handshake(client, server).getpeercert() or {})["notAfter"]))


def _peer_after_handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """The client's side of a handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for side in (asking, answering):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    asking.do_handshake()
    return asking


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
