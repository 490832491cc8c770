"""How long tests search: briefly in `make test`, far longer in `make soak`."""

import os

_SOAK = "SOAK" in os.environ  # noqa: TID251 - not of the service: `make soak` sets it
_TIMES = 50


def size(usual: int, long: int = 0) -> int:
    """Returns the number of examples, requests or seconds; in a soak the long one."""
    return (long or usual * _TIMES) if _SOAK else usual
