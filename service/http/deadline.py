"""How long a caller waits: `X-Request-Timeout-Ms`, counted from `X-Request-Start` if given."""

from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from service.http.errors import Refused
from service.telemetry.record import BEGAN

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_LONGEST_MS: Final = 600_000
_DIGITS: Final = 7
# Clocks of machines differ: a start in the future, or longer ago, is ignored.
_OLDEST_START: Final = 60.0


def timeout_of(stated: str) -> float:
    """The stated timeout in seconds. Raises Refused with 400 if it can't be read."""
    digits = stated.isascii() and stated.isdigit() and len(stated) <= _DIGITS
    if not (digits and 1 <= int(stated) <= _LONGEST_MS):
        raise Refused(400, f"X-Request-Timeout-Ms must be a whole number of ms, 1 to {_LONGEST_MS}")
    return int(stated) / 1000


def seconds_since(start: str) -> float | None:
    """The seconds since a start, in seconds since 1970; None if it is none, or can't be true."""
    try:
        age = time() - float(start)
    except ValueError:
        return None
    return age if 0 <= age <= _OLDEST_START else None


def left_of(timeout: str, start: str, age: float) -> float:
    """The seconds that are left of a timeout since the edge passed the request on at `start`.

    Without a start, since the request's head arrived `age` seconds ago. Raises Refused with 400.
    """
    since = seconds_since(start[2:]) if start.startswith("t=") else None
    return timeout_of(timeout) - (age if since is None else since)


def left_in(environ: "WSGIEnvironment") -> float | None:
    """The same of a WSGI request; None if it states no timeout."""
    timeout = environ.get("HTTP_X_REQUEST_TIMEOUT_MS")
    if timeout is None:
        return None
    now = perf_counter()
    start = environ.get("HTTP_X_REQUEST_START", "")
    return left_of(timeout, start, now - environ.get(BEGAN, now))
