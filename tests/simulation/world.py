"""What a schedule is played in: a simulated network, a server of one or two workers, a registry."""

from asyncio import gather, get_running_loop, sleep
from collections.abc import Awaitable, Callable
from typing import Any, Final

import detangle
from detangle import SimConfig

from tests.simulation import server as simulated_server
from tests.simulation.audit import Audit
from tests.simulation.model import Call, scorers
from tests.simulation.network import Network
from tests.simulation.server import Server, Shared

# How long a call of the model holds up the loop.
CALL_SECONDS: Final = (*(0.0004,) * 6, 0.004, 0.05, 0.3)
_LONGEST: Final = 400.0
_LAST_MOMENT: Final = 1.0

# Tasks are not reordered: the core may rely on asyncio, which runs what is ready in order.
CONFIG: Final = SimConfig(reorder=False, patch_time=True, max_time=_LONGEST)


class World:
    """One for each schedule. `hold` is how long the next call of the model takes."""

    def __init__(self, workers: int = 1) -> None:
        self.audit = Audit()
        self.network = Network()
        self.shared = Shared()
        self.hold: Callable[[], float] = lambda: detangle.choice(CALL_SECONDS)
        self.servers = self.audit.servers
        simulated_server.begin(self.audit)
        for number in range(workers):
            self.servers.append(Server(number, self.audit, self.network, self.shared))
        for scorer in scorers().values():
            scorer.called = self._called

    def _called(self, call: Call) -> None:
        seconds = self.hold()
        self.audit.called(call, seconds)
        self.audit.held += seconds
        loop: Any = get_running_loop()
        loop._now += seconds

    def stop(self, number: int) -> None:
        """Send all workers that still serve a signal."""
        for server in self.servers:
            if not server.stopped:
                server.stop(number)


async def play(world: World, story: Callable[[World], Awaitable[None]]) -> None:
    """Have a server serve while a story goes on, which is to end it. Raises Broken."""
    try:
        detangle.invariant(world.audit.check)
        serving = [server.start() for server in world.servers]
        await sleep(0.001)
        await story(world)
        await gather(*serving)
        await sleep(_LAST_MOMENT)
        world.audit.finish()
    finally:
        simulated_server.end()
        world.shared.close()
