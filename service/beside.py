"""Work that would hold up the event loop, done in a thread beside it."""

from collections.abc import Callable
from typing import Any, TypeVar

from gevent import get_hub
from gevent.threadpool import ThreadPool

T = TypeVar("T")


def beside_the_loop(
    function: Callable[..., T], *arguments: Any, threads: ThreadPool | None = None
) -> T:
    """What a function returns or raises; the calling greenlet waits, others go on.

    `threads` are those to use, the event loop's own by default.
    """

    def outcome() -> tuple[list[T], Exception | None]:
        try:
            return [function(*arguments)], None
        except Exception as error:  # noqa: BLE001 - gevent would report it, and its caller again
            return [], error

    results: list[T]
    results, error = (threads or get_hub().threadpool).apply(outcome)
    if error is not None:
        raise error
    return results[0]
