"""Whether the requester still waits for a reply: checked before expensive work."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

_NOT_FOUND: Final = 404


class Requesters:
    """Checks whether reply queues exist, one after the other, on a channel of its own.

    If a queue does not exist, the broker's only answer is to close the channel.
    """

    def __init__(self, connection: Any) -> None:
        """`connection` is an open one of pika."""
        self._connection = connection
        self._channel: Any = None
        self._questions: deque[tuple[str, Callable[[bool], None]]] = deque()
        self._open()

    def ask(self, queue: str, answer: Callable[[bool], None]) -> None:
        """Call `answer`, later, with whether the queue exists."""
        self._questions.append((queue, answer))
        if len(self._questions) == 1 and self._channel is not None:
            self._ask()

    def _open(self) -> None:
        self._connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._closed)
        if self._questions:
            self._ask()

    def _ask(self) -> None:
        queue, _ = self._questions[0]
        self._channel.queue_declare(
            queue, passive=True, callback=lambda _: self._answer(exists=True)
        )

    def _answer(self, *, exists: bool) -> None:
        _, answer = self._questions.popleft()
        answer(exists)
        if self._questions and self._channel is not None:
            self._ask()

    def _closed(self, _channel: Any, reason: Any) -> None:
        self._channel = None
        if not self._connection.is_open:
            return  # the deliveries are gone, too
        self._open()
        if self._questions:  # an exclusive queue of another connection is refused, but exists
            self._answer(exists=getattr(reason, "reply_code", 0) != _NOT_FOUND)
