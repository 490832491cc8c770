"""Faults that schedules have found, each as the shortest story that shows it.

The auditor checks all its rules here too: each test asserts the rest.
"""

import signal
from asyncio import create_task, gather, sleep
from collections.abc import Awaitable, Callable

import detangle

from tests.simulation.audit import Audit
from tests.simulation.callers import Client
from tests.simulation.requests import SETTINGS, Requests, Spec
from tests.simulation.world import CONFIG, World, play

_LITTLE = 200


def simulated(story: Callable[[World], Awaitable[None]]) -> Audit:
    """What happens in a story: all goes as it does most often."""

    async def main() -> Audit:
        world = World()
        world.hold = lambda: 0.001
        await play(world, story)
        return world.audit

    return detangle.run(main, config=CONFIG)


def stop(world: World) -> None:
    """Stop the server, as its master does."""
    world.shared.scoreboard.begin_stop()
    world.audit.stopped = world.audit.now
    world.stop(signal.SIGTERM)


async def client(world: World, name: str, room: int = 1 << 16) -> Client:
    """A client that is connected; it does not read if there is little room."""
    one = Client(world, name)
    await one.connect(room)
    if room == _LITTLE:
        one.socket.pause_reading()
    return one


def page(name: str) -> Spec:
    """A request for a reply that does not fit into the little room."""
    return Requests().page(name)


def test_a_client_that_reads_nothing_is_answered_once_however_it_sends() -> None:
    """One request at a time, it had replies without end kept in memory, and was not given up."""

    async def story(world: World) -> None:
        one = await client(world, "c1", _LITTLE)
        for number in range(20):
            await one.send(page(f"c1.{number}"))
            await sleep(1.0)
        assert len(one.dialogue.replies) == 1
        assert one.dialogue.closed == "abort"
        stop(world)

    assert simulated(story).counts["end: a client that does not read"] == 1


def test_a_request_that_has_come_keeps_its_connection_from_being_idle() -> None:
    """Its client read a reply for longer than connections may be idle, and it was dropped."""

    async def story(world: World) -> None:
        one = await client(world, "c1", _LITTLE)
        requests = Requests()
        await one.send(page("c1.0"))
        await one.send(requests.single("c1.1"))
        await sleep(SETTINGS.keepalive + 2.5)
        one.socket.resume_reading()
        await one.until(2)
        assert [reply.status for reply in one.replies] == [200, 200]
        stop(world)

    simulated(story)


def test_a_request_that_is_on_its_way_when_the_server_stops_is_answered() -> None:
    """A connection that had been idle for a second by then was closed at once."""

    async def story(world: World) -> None:
        one = await client(world, "c1")
        requests = Requests()
        await one.send(requests.single("c1.0"))
        await sleep(2.9998 - world.audit.now)  # the worker looks at its connections at 3.0
        await one.send(requests.single("c1.1"))  # it comes after that
        stop(world)
        await one.until(2)
        assert [reply.status for reply in one.replies] == [200, 200]

    simulated(story)


def test_an_array_is_rejected_when_its_time_is_over_not_when_its_turn_comes() -> None:
    async def story(world: World) -> None:
        world.hold = lambda: 0.3
        one, other, requests = await client(world, "c1"), await client(world, "c2"), Requests()
        await one.send(requests.array("c1.0", size=20))
        await other.send(requests.array("c2.0", size=4, milliseconds=100))
        await gather(one.until(1), other.until(1))
        stop(world)
        first, second = one.dialogue.specs[0].answered, other.dialogue.specs[0].answered
        assert first is not None
        assert second is not None
        assert second < first

    assert simulated(story).counts["shed: deadline"] == 1


def test_a_swap_during_a_stop_is_no_error() -> None:
    """The time with different versions was measured although no worker serves."""

    async def story(world: World) -> None:
        await client(world, "c1")  # it keeps the worker for a second
        world.shared.registry.promote("v2")
        await sleep(0.3)
        stop(world)
        await sleep(0.5)
        assert world.servers[0].swaps[-1][1] == "v2"

    simulated(story)


def test_an_array_whose_wait_is_cancelled_takes_no_turn_from_others() -> None:
    """It was handed the turn, which failed the array before it, and those behind it for ever."""

    async def story(world: World) -> None:
        admission, served = world.servers[0].admission, []

        async def array(name: str, seconds: float) -> None:
            async with admission.array(3000, latest=world.audit.now + 60.0):
                await sleep(seconds)
                served.append(name)

        first, second, third = (create_task(array(name, 0.1)) for name in ("a", "b", "c"))
        await sleep(0.05)
        first.add_done_callback(lambda _: None)
        second.cancel()
        await gather(first, second, third, return_exceptions=True)
        assert served == ["a", "c"]
        stop(world)

    simulated(story)
