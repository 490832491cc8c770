"""Sending a request again, where that may help."""

import asyncio
import time
from collections.abc import Awaitable, Callable
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
                pause = _pause(error, tried, end)
            self._sleep(pause)
        return send()


class AsyncRetries:
    """The same for coroutines."""

    def __init__(
        self, tries: int = 4, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._tries = tries
        self._sleep = sleep

    async def call(
        self,
        send: Callable[[], Awaitable[T]],
        end: float | None = None,
        may_pass: Callable[[Refused], bool] = lambda refused: refused.may_pass,
    ) -> T:
        """As `Retries.call`."""
        for tried in range(1, self._tries):
            try:
                return await send()
            except (Refused, Unreachable) as error:
                if isinstance(error, Refused) and not may_pass(error):
                    raise
                pause = _pause(error, tried, end)
            await self._sleep(pause)
        return await send()


def _pause(error: Refused | Unreachable, tried: int, end: float | None) -> float:
    """Seconds before the next try; callers that were refused together do not come together.

    Raises the error itself where they would go beyond `end`.
    """
    if isinstance(error, Refused) and error.retry_after:
        pause = min(error.retry_after, _LONGEST_PAUSE)
    else:
        longest = min(_PAUSE * 2 ** (tried - 1), _LONGEST_PAUSE)
        pause = longest * uniform(0.5, 1.0)  # noqa: S311 - no secret
    if end is not None and time.monotonic() + pause >= end:
        raise error
    return pause
