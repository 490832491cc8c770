"""The id of a request: the caller's own, if it can be echoed and logged, else a new one."""

import re
from collections.abc import Callable
from random import getrandbits
from typing import Final

from model.privacy import may_be_plate

# What may be echoed into a header and a log line.
_SENSIBLE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Chooses ids."""

    def __init__(self, holds_secret: Callable[[str], bool]) -> None:
        """`holds_secret` says whether a text that a client chose is or holds a key."""
        self._holds_secret = holds_secret

    def of(self, given: str, key: str) -> str:
        """The id for a request with this `X-Request-Id` and this key; "" for none."""
        if (
            not given
            or not _SENSIBLE.fullmatch(given)
            or may_be_plate(given)
            or self._holds_secret(given)
            or (key and key in given)
        ):
            return new_id()
        return given


def new_id() -> str:
    """128 random bits: unique, not secret. Each worker has its own sequence after the fork."""
    return "%032x" % getrandbits(128)  # noqa: UP031 - in each request, and twice as fast
