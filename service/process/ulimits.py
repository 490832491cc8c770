"""Limits of a shell's `ulimit` or of a service manager: which are too low, and what they allow."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from service.config.settings import SettingsError, refuse_start
from service.rollout import rollout_state

_UNITS: Final = 1024  # of `ulimit`
# Open files of a worker other than callers' connections: 26 when idle, 16 connections of scrapes,
# and some of its threads and look-ups.
OWN_FILES: Final = 48
# The libraries alone take more, and some of them end the process themselves if they get less.
_LEAST_ADDRESSES: Final = 256 << 20
# The message of the dynamic loader without enough memory.
_NO_ROOM: Final = ("failed to map segment", "cannot allocate memory")
_TOO_LITTLE: Final = "too little to load the libraries and the model"


def check() -> None:
    """Raise SettingsError, which names the limit, for a limit that is always too low."""
    files, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if files != resource.RLIM_INFINITY and files < rollout_state.BYTES:
        reason = (
            f"the server needs a file of {_kib(rollout_state.BYTES)}, the limit is {_kib(files)}"
        )
        raise SettingsError("ulimit -f", reason)
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if addresses != resource.RLIM_INFINITY and addresses < _LEAST_ADDRESSES:
        raise _lack_of_memory()


def raise_open_files() -> int | None:
    """Raise the soft limit of open files to the hard one. Returns it, None if there is no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the kernel may have a lower limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def connections(open_files: int | None, wanted: int) -> int:
    """How many of the wanted connections a worker has files for."""
    return wanted if open_files is None else max(0, min(wanted, open_files - OWN_FILES))


@contextmanager
def naming_lack_of_memory() -> Iterator[None]:
    """End the process, with the reason, if there is too little memory for what is loaded within."""
    try:
        yield
    except (MemoryError, ImportError, OSError) as error:
        if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _NO_ROOM):
            refuse_start(_lack_of_memory())
        raise


def _lack_of_memory() -> SettingsError:
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if addresses == resource.RLIM_INFINITY:
        return SettingsError("memory", f"there is {_TOO_LITTLE}")
    return SettingsError("ulimit -v", f"{_kib(addresses)} of addresses are {_TOO_LITTLE}")


def _kib(size: int) -> str:
    return f"{size // _UNITS} KiB"
