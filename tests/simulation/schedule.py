"""One schedule: a server, its callers, and what happens to the server meanwhile.

Whatever is not fixed is a choice of detangle's, so that a seed, or the list of choices that it
stands for, makes the same schedule each time. The first of each choices is the simplest.
"""

import signal
from asyncio import Task, get_running_loop, sleep, wait
from typing import Final

import detangle
from detangle import BugFound, RandomWalk, Replay, Strategy, decode_token, execute, explore

from tests.simulation.audit import Audit, kind_of
from tests.simulation.callers import Caller
from tests.simulation.model import REFUSED, VERSIONS
from tests.simulation.requests import Requests
from tests.simulation.world import CONFIG, World, play

_CALLERS: Final = (2, 4, 8, 12, 16)
_CHANGES: Final = (1, 1, 0, 2, 3)
_CHANGE_SECONDS: Final = 3.0
# When the server gets its stop signal: once all callers have left, or before, also just before it
# checks its connections.
_STOPS: Final = (None, None, None, 0.3, 0.995, 2.995, 7.0)
# From the notice that it is about to stop on.
_DRAIN_SECONDS: Final = (0.0, 0.0, 0.3, 3.0)
# Some come in the last moment: how many, and how long before.
_LATE: Final = (0, 0, 0, 1, 3)
_LATE_SECONDS: Final = (0.0, 0.0005, 0.001, 0.002)


class Schedule:
    """Is played once; `audit` is what happened."""

    def __init__(self, rule: str = "") -> None:
        """`rule` is the one to hold it to; all if it is ""."""
        self.audit: Audit | None = None
        self._rule = rule

    async def __call__(self) -> None:
        """Raises Broken."""
        world = World(detangle.choice((1, 1, 1, 2)))
        self.audit = world.audit
        world.audit.only = self._rule
        await play(world, _story)


async def _story(world: World) -> None:
    loop, requests = get_running_loop(), Requests()
    size = detangle.choice(_CALLERS)
    callers = [Caller(world, f"c{number}", requests) for number in range(size)]
    calling = [loop.create_task(caller.run_some_time()) for caller in callers]
    changes = loop.create_task(_change(world))
    await _stop(world, calling, requests)
    changes.cancel()


async def _stop(world: World, calling: list[Task[None]], requests: Requests) -> None:
    """Replace a worker perhaps, and stop the server in the end."""
    audit = world.audit
    if len(world.servers) > 1 and detangle.flip(0.5):
        await sleep(detangle.choice((0.2, 1.0, 4.0)))
        world.servers[0].stop(signal.SIGTERM)
    await wait(calling, timeout=detangle.choice(_STOPS))
    audit.note("the server is about to stop", "a stop")
    world.shared.scoreboard.begin_stop()
    await sleep(detangle.choice(_DRAIN_SECONDS))
    if size := detangle.choice(_LATE):
        callers = [Caller(world, f"late{number}", requests) for number in range(size)]
        calling += [get_running_loop().create_task(caller.run()) for caller in callers]
        await sleep(detangle.choice(_LATE_SECONDS))
    audit.was_hurried = detangle.flip(0.1)
    audit.stopped = audit.now
    world.stop(signal.SIGQUIT if audit.was_hurried else signal.SIGTERM)


async def _change(world: World) -> None:
    """Promote versions, and let the registry be out of reach for a while."""
    registry = world.shared.registry
    for _ in range(detangle.choice(_CHANGES)):
        await sleep(detangle.uniform(0.0, _CHANGE_SECONDS))
        what = detangle.choice((*VERSIONS[::-1], REFUSED, "a shadow", "out of reach"))
        world.audit.note(f"the registry: {what}", f"the registry: {what}")
        if what == "a shadow":
            registry.shadow(VERSIONS[1])
        elif what == "out of reach":
            registry.is_reachable = False
            await sleep(1.0)
            registry.is_reachable = True
        else:
            registry.promote(what)


def run(seed: int) -> tuple[str, Audit]:
    """Play the schedule of a seed: the rule that it breaks, "" if none, and what happened."""
    return _played(RandomWalk(seed))


def replay(token: str) -> tuple[str, Audit]:
    """The same for a token of `shrunk`."""
    return _played(Replay(decode_token(token)))


def _played(strategy: Strategy) -> tuple[str, Audit]:
    strategy.start(0)
    schedule = Schedule()
    failure = execute(schedule, config=CONFIG, strategy=strategy).failure
    if schedule.audit is None:
        raise RuntimeError("the schedule has not begun")
    if failure is None:
        return "", schedule.audit
    return schedule.audit.broken or failure.headline(), schedule.audit


def shrunk(seed: int, broken: str) -> str:
    """A token of the simplest schedule found that breaks the same rule as a seed's."""
    rule = kind_of(broken)

    async def schedule() -> None:
        await Schedule(rule)()

    try:
        explore(schedule, runs=1, strategy=RandomWalk(seed), config=CONFIG, database=False)
    except BugFound as bug:
        return bug.token
    raise RuntimeError(f"seed {seed} breaks nothing when it is played again")
