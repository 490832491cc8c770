"""Work that is done a little at a time in each iteration of the event loop."""

import asyncio
import time
from typing import Any

import pytest

from service.server.iteration import WorkQueue

pytestmark = pytest.mark.anyio


async def test_it_works_in_order_and_leaves_the_loop_to_others_when_its_time_is_over() -> None:
    queue = WorkQueue(0.001)
    done: list[int] = []
    seen: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.002)
        done.append(number)

    for number in range(5):
        queue.add(lambda number=number: work(number))  # type: ignore[misc]
    while len(done) < 5:
        await asyncio.sleep(0)
        seen.append(len(done))
    assert done == [0, 1, 2, 3, 4]
    assert {1, 2, 3, 4, 5} <= set(seen), "one in an iteration"


async def test_after_a_turn_that_was_too_short_it_pauses_and_else_it_does_not() -> None:
    pauses = WorkQueue(0.001, pause=0.02)
    done: list[float] = []

    def work(seconds: float) -> None:
        time.sleep(seconds)
        done.append(time.monotonic())

    for _ in range(3):
        pauses.add(lambda: work(0.002))
    while len(done) < 3:  # noqa: ASYNC110 - the loop goes on meanwhile
        await asyncio.sleep(0.001)
    assert done[1] - done[0] >= 0.02
    assert done[2] - done[1] >= 0.02
    has_time = WorkQueue(60.0, pause=60.0)
    has_time.add(lambda: work(0.0))
    has_time.add(lambda: work(0.0))
    await asyncio.sleep(0)
    assert len(done) == 5, "both in the next iteration"


async def test_what_is_added_meanwhile_comes_in_a_later_iteration() -> None:
    queue = WorkQueue(1.0)
    done: list[int] = []

    def again() -> None:
        done.append(len(done))
        if len(done) < 3:
            queue.add(again)

    queue.add(again)
    for expected in (1, 2, 3, 3):
        await asyncio.sleep(0)
        assert len(done) == expected


async def test_an_error_of_one_stops_none_of_the_others() -> None:
    queue = WorkQueue(1.0)
    done: list[int] = []
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    def fail() -> None:
        raise ValueError

    for function in (fail, lambda: done.append(1), fail, lambda: done.append(2)):
        queue.add(function)
    for _ in range(10):
        await asyncio.sleep(0)
    queue.add(lambda: done.append(3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done == [1, 2, 3]
    assert [type(context["exception"]) for context in errors] == [ValueError, ValueError]
