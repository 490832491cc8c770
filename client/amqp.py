"""Scores over AMQP: requests to the exchange `scoring`, replies by direct reply-to.

    with AmqpClient("amqp://caller:password@broker/") as client:
        reply = client.call("regno", body, timeout=0.5)

One connection for all threads of a process. Needs `pika`.
"""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from time import time
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from pika import BasicProperties, URLParameters
from pika.adapters.asyncio_connection import AsyncioConnection

_EXCHANGE: Final = "scoring"
# RabbitMQ's pseudo queue: replies come over the channel that published the request.
_REPLIES: Final = "amq.rabbitmq.reply-to"
_RECONNECT_SECONDS: Final = 0.5
_HEARTBEAT_SECONDS: Final = 20


class BrokerUnavailable(ConnectionError):
    """There is no connection to the broker, or it was lost while a reply was awaited.

    Scores change nothing: the request may be sent again.
    """


class QueueFull(Exception):
    """The broker refused the request: too many wait. Try again later."""


class Reply(NamedTuple):
    """`status` and `body` are those of `POST /reg/`; `headers` are the message's."""

    status: int
    body: bytes
    headers: Mapping[str, Any]


class AmqpClient:
    """Calls from any thread; a thread of its own holds the connection."""

    def __init__(self, url: str) -> None:
        """`url` is amqp://USER:PASSWORD@HOST:PORT/VHOST."""
        self._parameters = URLParameters(url)
        self._parameters.heartbeat = _HEARTBEAT_SECONDS
        self._user = self._parameters.credentials.username
        self._numbers = count(1)
        # By correlation id; and by the channel's number of a published message, until the broker
        # confirms it.
        self._awaited: dict[str, Future[Reply]] = {}
        self._unconfirmed: dict[int, Future[Reply]] = {}
        self._published = 0
        self._channel: Any = None
        self._connection: Any = None
        self._closing = False
        self._ready = threading.Event()
        self.late_replies = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="amqp-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        """Close the connection."""
        self.close()

    def call(
        self, model: str, body: bytes, *, timeout: float = 2.0, request_id: str = "",
        detail: bool = False,
    ) -> Reply:  # fmt: skip
        """The reply to a request, whose body is that of the model's own route.

        Raises TimeoutError without a reply within `timeout` seconds, BrokerUnavailable, QueueFull.
        """
        began = time()
        if not self._ready.wait(timeout):
            raise BrokerUnavailable("there is no connection to the broker")
        left = timeout - (time() - began)
        future: Future[Reply] = Future()
        correlation = str(next(self._numbers))
        headers = {"x-request-start": f"t={began:.6f}", "detail": "1" if detail else "0"}
        properties = BasicProperties(
            content_type="application/json",
            correlation_id=correlation,
            reply_to=_REPLIES,
            message_id=request_id or None,
            user_id=self._user,
            expiration=str(max(1, int(timeout * 1000))),
            headers=headers,
        )
        self._loop.call_soon_threadsafe(self._publish, model, body, properties, future)
        try:
            return future.result(max(0.0, left))
        except (TimeoutError, QueueFull):
            with suppress(RuntimeError):  # the loop has ended
                # There, since the request may still have to be published.
                self._loop.call_soon_threadsafe(self._forget, correlation)
            raise

    def close(self) -> None:
        """Close the connection. Calls that wait raise BrokerUnavailable."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon_threadsafe(self._close)
            self._thread.join()

    @property
    def waiting(self) -> int:
        """How many requests the broker has taken that have no reply yet."""
        return len(self._awaited) - len(self._unconfirmed)

    # In the thread of the connection.

    def _run(self) -> None:
        self._loop.call_soon(self._open)
        self._loop.run_forever()
        self._loop.close()

    def _open(self) -> None:
        self._connection = AsyncioConnection(
            self._parameters,
            on_open_callback=lambda it: it.channel(on_open_callback=self._opened),
            on_open_error_callback=self._lost,
            on_close_callback=self._lost,
            custom_ioloop=self._loop,
        )

    def _opened(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.confirm_delivery(self._confirmed)
        # Replies of direct reply-to are not acknowledged; consumed before anything is published.
        channel.basic_consume(
            _REPLIES, self._replied, auto_ack=True, callback=lambda _frame: self._begin(channel)
        )

    def _channel_closed(self, _channel: Any, _reason: object) -> None:
        if self._connection.is_open:  # the broker closed the channel alone, for an error
            self._connection.close()

    def _begin(self, channel: Any) -> None:
        self._channel, self._published = channel, 0
        self._ready.set()

    def _publish(
        self, model: str, body: bytes, properties: BasicProperties, future: "Future[Reply]"
    ) -> None:
        if self._channel is None:
            future.set_exception(BrokerUnavailable("the connection to the broker was lost"))
            return
        self._published += 1
        self._awaited[properties.correlation_id] = self._unconfirmed[self._published] = future
        self._channel.basic_publish(_EXCHANGE, f"score.{model}", body, properties, mandatory=True)

    def _forget(self, correlation: str) -> None:
        self._awaited.pop(correlation, None)

    def _confirmed(self, frame: Any) -> None:
        """The broker's confirmations; a refusal says that the queue is full."""
        method = frame.method
        last = method.delivery_tag
        numbers = [n for n in self._unconfirmed if n <= last] if method.multiple else [last]
        for number in numbers:
            future = self._unconfirmed.pop(number, None)
            if future is not None and method.NAME == "Basic.Nack" and not future.done():
                future.set_exception(QueueFull("too many requests wait"))

    def _replied(self, _channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        future = self._awaited.pop(properties.correlation_id, None)
        if future is None or future.done():
            self.late_replies += 1
            return
        headers = properties.headers or {}
        future.set_result(Reply(int(headers.get("status", 500)), body, headers))

    def _lost(self, _connection: Any, _reason: object) -> None:
        self._ready.clear()
        self._channel = None
        waiting = {*self._awaited.values(), *self._unconfirmed.values()}
        self._awaited, self._unconfirmed = {}, {}
        for future in waiting:
            if not future.done():
                future.set_exception(BrokerUnavailable("the connection to the broker was lost"))
        if self._closing:
            self._loop.stop()
        else:
            self._loop.call_later(_RECONNECT_SECONDS, self._open)

    def _close(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
        else:
            self._lost(None, None)
