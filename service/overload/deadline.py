"""How long a caller waits: `X-Request-Timeout-Ms`, from `X-Request-Start` on if the edge says."""

from collections.abc import Mapping
from time import perf_counter, time
from typing import Any, Final

from service.http.errors import Refused
from service.telemetry.record import BEGAN

_LONGEST_MS: Final = 600_000
_DIGITS: Final = 7
# Of a clock beside ours: a start in the future, or longer ago, is not believed.
_OLDEST_START: Final = 60.0


def timeout_of(stated: str) -> float:
    """The seconds that a client gives. Raises Refused with 400 when that can't be read."""
    digits = stated.isascii() and stated.isdigit() and len(stated) <= _DIGITS
    if not (digits and 1 <= int(stated) <= _LONGEST_MS):
        raise Refused(400, f"X-Request-Timeout-Ms must be a whole number of ms, 1 to {_LONGEST_MS}")
    return int(stated) / 1000


def left_of(timeout: str, start: str, age: float) -> float:
    """The seconds that are left of a timeout: since the edge passed the request on at `start`.

    If no start is stated, since its head was here, `age` seconds ago. Raises Refused with 400.
    """
    if start.startswith("t="):
        try:
            stated = time() - float(start[2:])
        except ValueError:
            stated = -1.0
        if 0 <= stated <= _OLDEST_START:
            age = stated
    return timeout_of(timeout) - age


def left_in(environ: Mapping[str, Any]) -> float | None:
    """The same of a WSGI request; None if it states no timeout."""
    timeout = environ.get("HTTP_X_REQUEST_TIMEOUT_MS")
    if timeout is None:
        return None
    now = perf_counter()
    start = environ.get("HTTP_X_REQUEST_START", "")
    return left_of(timeout, start, now - environ.get(BEGAN, now))
