"""Checks of the addresses to listen on: gunicorn's own messages name no setting."""

import errno
import logging
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from service.config import addresses
from service.config.settings import Settings, SettingsError, variable

# An address in gunicorn's form: host and port, a path, or the file descriptor of a socket.
Address: TypeAlias = tuple[Any, ...] | str | int

# The previous server may be stopping.
_TRIES: Final = 5
_RETRY_SECONDS: Final = 1.0
_BIND: Final = "--bind"
# Of Linux' struct sockaddr_un, the end of text included.
LONGEST_PATH: Final = 107

log = logging.getLogger("scoring")


class Taken(Exception):
    """Another process listens at the address."""


class Endpoint(NamedTuple):
    """An address, and the setting or argument that gave it."""

    address: Address
    name: str

    @property
    def shown(self) -> str:
        """The address as text."""
        if isinstance(self.address, tuple):
            return addresses.joined(self.address[0], self.address[1])
        return str(self.address)


def endpoints(bound: list[Address], settings: Settings, prefix: str = "") -> list[Endpoint]:
    """The addresses, each with the setting that gave it; `--bind` gave all others.

    `prefix` begins the fields of these settings.
    """
    public = settings.host.removeprefix("unix:").removeprefix("//")
    names: dict[Address | None, str] = {
        settings.metrics_address: variable(f"{prefix}metrics_bind"),
        public: variable(f"{prefix}host"),
        (public.strip("[]").lower(), settings.port): variable(f"{prefix}port"),
    }
    return [Endpoint(address, names.get(_plain(address), _BIND)) for address in bound]


def _plain(address: Address) -> Address:
    return address[:2] if isinstance(address, tuple) else address


def resolved(address: Address) -> Any:
    """The address that a file descriptor is bound to; any other address unchanged.

    Raises SettingsError for a file descriptor that is not a socket.
    """
    if not isinstance(address, int):
        return address
    try:
        with socket.socket(fileno=os.dup(address)) as listener:
            return listener.getsockname()
    except OSError as error:
        reason = f"fd://{address} is not a socket: {error.strerror}"
        raise SettingsError(_BIND, reason) from error


def wait_until_free(endpoint: Endpoint) -> None:
    """Wait up to five seconds for an address to become free.

    Raises SettingsError for an address that can't be used, Taken for one that stays in use.
    """
    for _ in range(_TRIES):
        if _is_free(endpoint):
            return
        log.warning("%s: %s is taken: trying again in a second", endpoint.name, endpoint.shown)
        time.sleep(_RETRY_SECONDS)
    raise Taken(f"{endpoint.name}: {endpoint.shown} is taken: another process listens there")


def _is_free(endpoint: Endpoint) -> bool:
    """Try to bind as gunicorn will. Without `listen`, this disturbs no other process."""
    if isinstance(endpoint.address, int):
        return True
    if isinstance(endpoint.address, str):
        _check_path(endpoint, Path(endpoint.address))
        return True
    family = socket.AF_INET6 if ":" in endpoint.address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(endpoint.address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            reason = f"nothing can listen at {endpoint.shown}: {error.strerror}"
            raise SettingsError(endpoint.name, reason) from error
    return True


def _check_path(endpoint: Endpoint, path: Path) -> None:
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise SettingsError(endpoint.name, f"{path} exists and is not a socket")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SettingsError(endpoint.name, f"a socket's path may have {LONGEST_PATH} bytes")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise SettingsError(endpoint.name, f"{path.parent} is not there, or not to be written to")
