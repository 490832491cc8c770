"""What is done once in an iteration of the event loop, for all that happened in it."""

from asyncio import get_running_loop, sleep
from collections.abc import Callable


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


async def yield_to_io() -> None:
    """Let all sockets be served that are ready."""
    await sleep(0)
