"""Sending a request again, where that may help."""

import time
from collections.abc import Callable
from random import uniform
from typing import Final, TypeVar

from client.transport import Refused, Unreachable

T = TypeVar("T")

_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0


class Retries:
    """Calls at most so many times; pauses double, and are as long as `Retry-After` says."""

    def __init__(self, tries: int = 4, sleep: Callable[[float], object] = time.sleep) -> None:
        self._tries = tries
        self._sleep = sleep

    def call(
        self,
        send: Callable[[], T],
        end: float | None = None,
        may_pass: Callable[[Refused], bool] = lambda refused: refused.may_pass,
    ) -> T:
        """What `send` returns. Raises the last Refused or Unreachable.

        `end` is a time of `monotonic`: no pause goes beyond it. `may_pass` says whether the same
        request may succeed later.
        """
        for tried in range(1, self._tries):
            try:
                return send()
            except (Refused, Unreachable) as error:
                if isinstance(error, Refused) and not may_pass(error):
                    raise
                pause = _pause(error, tried)
                if end is not None and time.monotonic() + pause >= end:
                    raise
            self._sleep(pause)
        return send()


def _pause(error: Refused | Unreachable, tried: int) -> float:
    """Seconds before the next try; callers that were refused together do not come together."""
    if isinstance(error, Refused) and error.retry_after:
        return min(error.retry_after, _LONGEST_PAUSE)
    longest: float = min(_PAUSE * 2 ** (tried - 1), _LONGEST_PAUSE)
    return longest * uniform(0.5, 1.0)  # noqa: S311 - no secret
