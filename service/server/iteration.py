"""What is done once in an iteration of the event loop, for all that happened in it."""

from asyncio import get_running_loop, sleep
from collections import deque
from collections.abc import Callable
from time import perf_counter


class EndOfIteration:
    """Calls a function after the sockets that are ready in this iteration have been served."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._scheduled = False

    def schedule(self) -> None:
        """Call the function when this iteration ends, once; at once where no loop runs."""
        if self._scheduled:
            return
        try:
            loop = get_running_loop()
        except RuntimeError:
            self._function()
            return
        self._scheduled = True
        loop.call_soon(self._call)

    def _call(self) -> None:
        self._scheduled = False
        self._function()


class WorkQueue:
    """Calls functions in order, for a few milliseconds in each iteration of the event loop.

    Between, the sockets are served that are ready: however much is queued, a request that comes
    meanwhile does not wait for it.
    """

    def __init__(self, seconds: float, pause: float = 0.0) -> None:
        """`seconds` is how long it may work in an iteration; what has begun is finished.

        After a turn that was too short for all, it does nothing for `pause` seconds.
        """
        self._seconds = seconds
        self._pause = pause
        self._queue: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def add(self, function: Callable[[], None]) -> None:
        """Call a function in one of the next iterations."""
        self._queue.append(function)
        if not self._scheduled:
            self._scheduled = True
            get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        latest, pause = perf_counter() + self._seconds, 0.0
        try:
            for _ in range(len(self._queue)):  # what these add comes in the next iteration
                self._queue.popleft()()
                if perf_counter() > latest:
                    pause = self._pause
                    break
        finally:  # an error of one is the loop's to report, and stops none of the others
            self._scheduled = bool(self._queue)
            if self._scheduled and pause:
                get_running_loop().call_later(pause, self._work)
            elif self._scheduled:
                get_running_loop().call_soon(self._work)


async def yield_to_io() -> None:
    """Let all sockets be served that are ready."""
    await sleep(0)
