"""The queue of the distributed form: publishes jobs to RabbitMQ, confirmed, within a second.

Celery and kombu bound no step of a confirmed publication as a whole: with a broker that is blocked
by an alarm they wait for minutes. Here connections are made once, without retries, each wait has
a limit, and a connection that failed is dropped without the farewell that would wait as well.
"""

import os
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from amqp.exceptions import AMQPError, MessageNacked, NotFound, RecoverableConnectionError
from celery import Celery
from kombu import Producer

from service.jobs.celery_app import CONNECT_SECONDS, TASK, celery_app
from service.jobs.celery_topology import EXCHANGE, queue_of
from service.jobs.job import Job
from service.jobs.queues import QueueFull, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# With CONNECT_SECONDS, a second: a stale connection fails at once, and only then is one made.
_CONFIRM_SECONDS: Final = 0.5
_NO_QUEUE: Final = "ping"
_FAILURES: Final = (AMQPError, OSError)
# By the network, or by a broker that says so.
_CLOSED: Final = (ConnectionError, RecoverableConnectionError)


class CeleryQueue:
    """Publishes from any thread, and in any process that was forked since it was made."""

    def __init__(self, broker: str) -> None:
        """`broker` is its URL; nothing is connected before the first use."""
        self._app = celery_app(broker)
        self._lock = Lock()
        self._process = os.getpid()
        self._idle: list[_Publisher] = []

    def publish(self, job: Job) -> None:
        """Publish a job by its id; it is on a majority of the broker's nodes then.

        Raises QueueFull, or QueueUnavailable: the broker may have the message then, or get it yet.
        """
        try:
            self._on_connection(lambda publisher: publisher.publish(job))
        except MessageNacked as error:
            raise QueueFull from error
        except _FAILURES as error:
            raise QueueUnavailable(type(error).__name__) from error

    def ping(self) -> None:
        """Raise QueueUnavailable unless the broker takes messages: under an alarm it takes none."""
        try:
            self._on_connection(_Publisher.ping)
        except NotFound:
            return  # it has read the message; no worker has declared the exchange yet
        except _FAILURES as error:
            raise QueueUnavailable(type(error).__name__) from error

    def close(self) -> None:
        """Close the connections that no thread uses."""
        for publisher in self._take_all():
            publisher.drop()

    def _on_connection(self, act: "Callable[[_Publisher], T]") -> T:
        if publisher := self._take():
            try:
                return self._used(publisher, act)
            except _CLOSED:  # since its last use, as all others are then
                self.close()
        return self._used(_Publisher(self._app), act)

    def _used(self, publisher: "_Publisher", act: "Callable[[_Publisher], T]") -> T:
        try:
            result = act(publisher)
        except MessageNacked:
            self._give_back(publisher)
            raise
        except BaseException:
            publisher.drop()
            raise
        self._give_back(publisher)
        return result

    def _take(self) -> "_Publisher | None":
        with self._lock:
            if self._process != os.getpid():  # the connections are the parent's
                self._idle, self._process = [], os.getpid()
            return self._idle.pop() if self._idle else None

    def _give_back(self, publisher: "_Publisher") -> None:
        with self._lock:
            self._idle.append(publisher)

    def _take_all(self) -> "list[_Publisher]":
        with self._lock:
            taken, self._idle = self._idle, []
        return taken


class _Publisher:
    """A connection with a channel that confirms, for one thread at a time."""

    def __init__(self, app: Celery) -> None:
        """Connect. Raises what AMQP and sockets raise, within CONNECT_SECONDS for each step."""
        self._app = app
        options = {"confirm_publish": True, "read_timeout": CONNECT_SECONDS}
        options["write_timeout"] = CONNECT_SECONDS
        link = app.connection_for_write(connect_timeout=CONNECT_SECONDS, transport_options=options)
        # kombu's own `connect` waits and tries again.
        self._connection = link.transport.establish_connection()
        self._returned: list[Exception] = []
        channel = self._connection.channel()
        channel.events["basic_return"].add(self._on_return)
        self._producer = Producer(channel, auto_declare=False)

    def publish(self, job: Job) -> None:
        """Publish a job. Raises MessageNacked if its queue is full."""
        self._returned.clear()
        messages = self._app.amqp  # `send_task` would turn each error into an OperationalError
        messages.send_task_message(
            self._producer,
            TASK,
            messages.create_task_message(str(uuid4()), TASK, (job.id,)),
            queue=queue_of(job.kind),
            declare=[],  # workers declare the queues: publishers need no such permission
            mandatory=True,
            timeout=_CONFIRM_SECONDS,
            confirm_timeout=_CONFIRM_SECONDS,
        )
        if self._returned:
            raise NotFound(str(self._returned[0]))

    def ping(self) -> None:
        """Publish a message that has no queue, and wait until it was read.

        It has a body: under an alarm the broker reads the first message up to its body.
        """
        self._producer.publish(
            "ping",
            routing_key=_NO_QUEUE,
            exchange=EXCHANGE.name,
            mandatory=True,
            retry=False,
            timeout=_CONFIRM_SECONDS,
            confirm_timeout=_CONFIRM_SECONDS,
        )

    def drop(self) -> None:
        """Close the socket without AMQP's closing handshake, which could block."""
        if self._connection.connected:  # else it would connect again to have a socket
            with suppress(*_FAILURES, AttributeError):
                self._connection.sock.settimeout(0)
        with suppress(*_FAILURES):
            self._connection.collect()

    def _on_return(self, error: Exception, *_: Any) -> None:
        """The broker confirms what it returned, too: the error waits for the confirmation."""
        self._returned.append(error)
