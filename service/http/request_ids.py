"""The id of a request: a new one, until the caller's key is known; then the caller's own.

A client without a valid key must not learn from a reply which texts are keys: its id is neither
echoed nor logged.
"""

import re
from collections.abc import Callable
from random import getrandbits
from typing import Final

from model.redaction import may_be_plate
from service.telemetry.record import Record

# What may be echoed into a header and a log line.
_VALID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Lets callers name their requests."""

    def __init__(self, holds_secret: Callable[[str], bool]) -> None:
        """`holds_secret` says whether a text that a client chose is or holds a key."""
        self._holds_secret = holds_secret

    def take(self, record: Record, given: str, key: str = "") -> None:
        """Name a request by the id that came with this good key, if any, if it can be an id.

        An id that holds another secret is echoed like any other, but not logged: if it were
        replaced in the reply, a caller could find secrets by trying texts.
        """
        if not _VALID.fullmatch(given) or may_be_plate(given) or (key and key in given):
            return
        if self._holds_secret(given):
            record.echoed_id = given
        else:
            record.request_id = given


def new_id() -> str:
    """128 random bits: unique, not secret. Each worker has its own sequence after the fork."""
    return "%032x" % getrandbits(128)  # noqa: UP031 - in each request, and twice as fast
