"""Work that may block, done in a thread while the event loop goes on."""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


async def run_in_thread(function: Callable[..., T], *arguments: Any, pool: Executor) -> T:
    """What a function returns or raises, called by a thread of the pool."""
    return await get_running_loop().run_in_executor(pool, function, *arguments)
