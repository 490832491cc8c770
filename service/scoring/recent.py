"""The newest requests of a worker, in memory only."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from model.scorer import Request

# What a request may take in memory to be kept: a usual reading takes about 700 bytes, the greatest
# that the service reads 60,000. So many thousands of them must not fill the memory of a worker.
LARGEST_BYTES: Final = 4096


class Recent(deque[Request]):
    """The newest requests, without those that take too much memory."""

    def __init__(
        self,
        requests: Iterable[Request] = (),
        maxlen: int | None = None,
        memory_of: Callable[[Request], int] = lambda _: 0,
    ) -> None:
        """`memory_of` says what one takes; the other arguments are a deque's, for its copies."""
        super().__init__(requests, maxlen)
        self._memory_of = memory_of

    def append(self, request: Request, /) -> None:
        """Keep one."""
        if self._memory_of(request) <= LARGEST_BYTES:
            super().append(request)

    def extend(self, requests: Iterable[Request], /) -> None:
        """Keep several, the last one as the newest."""
        super().extend(one for one in requests if self._memory_of(one) <= LARGEST_BYTES)


def recent(most: int, memory_of: Callable[[Request], int]) -> deque[Request]:
    """A deque of so many requests; a plain one without room if `most` is 0."""
    return Recent(maxlen=most, memory_of=memory_of) if most else deque(maxlen=0)
