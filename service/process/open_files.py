"""The limit of open files, and the number of connections that it allows."""

import resource
from contextlib import suppress
from typing import Final

# Files of a worker other than connections of callers: 26 when idle, 16 connections of scrapes, and
# some of its threads and lookups.
OTHERS: Final = 48


def raise_limit() -> int | None:
    """Raise the soft limit to the hard one. Returns it, None if there is no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the kernel may have a lower limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def connections(limit: int | None, wanted: int) -> int:
    """How many of the wanted connections a worker has files for."""
    return wanted if limit is None else max(0, min(wanted, limit - OTHERS))
