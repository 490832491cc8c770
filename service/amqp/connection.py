"""A connection to the broker that is opened again whenever it is lost."""

import logging
from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Callable
from random import uniform
from typing import Any, Final

from pika import URLParameters, data
from pika.adapters.asyncio_connection import AsyncioConnection

_HEARTBEAT_SECONDS: Final = 20
_CONNECT_SECONDS: Final = 5.0
# The wait before the next attempt doubles up to so many seconds. It is random: a broker that comes
# back should not meet all its clients at once.
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0

# Of types of header values, the bytes of those that Python can't always represent.
_SIZES: Final = {b"T": 8, b"d": 8, b"f": 4}

log = logging.getLogger("scoring")


def _decode_any_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """A header's value and where it ends; None for a time or a number that can't be represented.

    pika raises for a time after the year 9999, and for NaN, which RabbitMQ itself refuses today.
    That would end the connection, and the broker would deliver the message again and again: one
    publisher could stop all requests.
    """
    try:
        value: tuple[Any, int] = _decode_value(encoded, offset)
    except (ValueError, OverflowError, OSError):
        kind = encoded[offset : offset + 1]
        return None, offset + 1 + _SIZES[kind]
    return value


_decode_value: Final = data.decode_value
data.decode_value = _decode_any_value


def parameters_of(url: str) -> URLParameters:
    """The parameters of a connection, with limits of time."""
    parameters = URLParameters(url)
    parameters.heartbeat = _HEARTBEAT_SECONDS
    parameters.socket_timeout = parameters.stack_timeout = _CONNECT_SECONDS
    parameters.blocked_connection_timeout = None  # an alarm stops replies, not the connection
    parameters.connection_attempts = 1
    return parameters


class Connection:
    """Keeps a channel open: each new one goes to `opened`, and `lost` is called when it is gone."""

    def __init__(self, url: str, opened: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._parameters = parameters_of(url)
        self._opened = opened
        self._lost = lost
        self._loop: AbstractEventLoop = get_running_loop()
        self._timer: TimerHandle | None = None
        self._wait = _FIRST_WAIT
        self._is_away = False
        self._closing = False
        self._connection: Any = None

    def open(self) -> None:
        """Begin to connect."""
        self._timer = None
        self._connection = AsyncioConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(
                on_open_callback=self._channel_opened
            ),
            on_open_error_callback=self._ended,
            on_close_callback=self._ended,
            custom_ioloop=self._loop,
        )

    def close(self) -> None:
        """Close it for good."""
        self._closing = True
        if self._timer:
            self._timer.cancel()
        connection = self._connection
        if connection is not None and not (connection.is_closing or connection.is_closed):
            connection.close()

    def _channel_opened(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        if self._is_away:
            log.info("The broker is back")
        self._is_away, self._wait = False, _FIRST_WAIT
        self._opened(channel)

    def _channel_closed(self, _channel: Any, reason: BaseException) -> None:
        """What a channel was closed for is seen by its reason alone: the connection goes too."""
        if not self._closing and self._connection.is_open:
            log.error("The broker closed the channel: %s", reason)
            self._connection.close()

    def _ended(self, _connection: Any, reason: BaseException) -> None:
        if self._closing:
            return
        if not self._is_away:
            log.error("The broker is away: %s", type(reason).__name__)
        self._is_away = True
        self._lost()
        self._timer = self._loop.call_later(uniform(self._wait / 2, self._wait), self.open)  # noqa: S311 - no secret
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
