"""Limits of a shell's `ulimit`, or of a service manager, under which no server can start."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.config.settings import SettingsError, refuse_start
from service.rollout import rollout_state

_UNITS: Final = 1024  # of `ulimit`
# The libraries alone take more, and some of them end the process themselves where they get less.
_LEAST_ADDRESSES: Final = 256 << 20
# What the dynamic loader says where it finds no room.
_NO_ROOM: Final = ("failed to map segment", "cannot allocate memory")
_TOO_LITTLE: Final = "too little to load the libraries and the model"


def check() -> None:
    """Raises SettingsError, naming the limit, for one that is too low in any case."""
    files, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if files != resource.RLIM_INFINITY and files < rollout_state.BYTES:
        reason = (
            f"the server needs a file of {_kib(rollout_state.BYTES)}, the limit is {_kib(files)}"
        )
        raise SettingsError("ulimit -f", reason)
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if addresses != resource.RLIM_INFINITY and addresses < _LEAST_ADDRESSES:
        raise _lack_of_memory()


@contextmanager
def naming_lack_of_memory() -> Iterator[None]:
    """End the process, with the reason, where what is loaded within finds too little memory."""
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
