"""Where reports and traces go: whether what they need is there, and who takes them."""

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from threading import Thread
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from service.config.settings import Settings
from service.doctor.finding import Finding, fail, ok, unknown, warn

_SECONDS: Final = 1.0
_PORTS: Final = {"http": 80, "https": 443}
_EXTRA: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


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
        mend = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        yield fail("traces", "SCORING_OTLP_ENDPOINT needs packages that are not installed", mend)
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
    mend = f"check the address and the firewall: until then {loss}"
    return warn(name, f"no connection to {shown} in {_SECONDS:g} s", mend)


def _opens(host: str, port: int) -> bool:
    """In a thread that nobody waits for: a name may take longer to look up than any timeout."""
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
