"""What RabbitMQ and Redis tell of themselves: for `service.doctor`. Nothing is changed.

Every call ends within some seconds, and no result holds a password.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from time import monotonic, time
from typing import Any, Final, NamedTuple

from amqp import Message
from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, NotFound, PreconditionFailed
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from service.jobs.celery_app import celery_app
from service.jobs.celery_topology import DEAD, EXCHANGE, queue_of

_SECONDS: Final = 3.0
_ALARM_SECONDS: Final = 1.0


class Refused(Exception):
    """The server answers, and refuses this user. The text says what it refuses."""


class Unreachable(Exception):
    """Nothing answers at the address, or not in time. The text is the error's type."""


class QueueState(NamedTuple):
    """A queue: `missing`, or declared with the `same` or `other` limits, or of `unknown` ones."""

    name: str
    limits: str
    waiting: int = 0
    consumers: int = 0


class Broker:
    """A connection to RabbitMQ; close it."""

    def __init__(self, url: str) -> None:
        """Raises Refused or Unreachable."""
        self._app = celery_app(url)
        self._connection = self._connect()

    def _connect(self, **more: Any) -> Any:
        options = {"read_timeout": _SECONDS, "write_timeout": _SECONDS, **more}
        link = self._app.connection_for_read(connect_timeout=_SECONDS, transport_options=options)
        with _broker_errors():
            return link.transport.establish_connection()

    def close(self) -> None:
        """Close the connection."""
        with suppress(AMQPError, OSError):
            self._connection.close()

    @property
    def version(self) -> str:
        """The version of RabbitMQ."""
        return str(self._connection.server_properties.get("version", ""))

    def job_queues(self, kinds: Iterable[str]) -> list[QueueState]:
        """The queues of jobs of these kinds, and of their dead letters. Raises Unreachable."""
        queues = (*map(queue_of, kinds), DEAD)
        return [self.queue(queue.name, queue.queue_arguments) for queue in queues]

    def queue(self, name: str, arguments: Mapping[str, Any]) -> QueueState:
        """A queue that is to be declared with these arguments. Raises Unreachable."""
        try:
            with _broker_errors(), self._connection.channel() as channel:
                found = channel.queue_declare(name, passive=True)
        except NotFound:
            return QueueState(name, "missing")
        try:
            # To declare a queue that there is changes nothing; its arguments are compared.
            with _broker_errors(), self._connection.channel() as channel:
                channel.queue_declare(
                    name, durable=True, auto_delete=False, arguments=dict(arguments)
                )
        except PreconditionFailed:
            limits = "other"
        except Refused:
            limits = "unknown"
        else:
            limits = "same"
        return QueueState(name, limits, found.message_count, found.consumer_count)

    def is_blocked(self) -> bool | None:
        """Whether an alarm of memory or disk keeps publishers waiting; None if this user is none.

        The broker reports it to publishers only, so a message without a queue is published. Raises
        Unreachable.
        """
        answers: list[bool] = []
        # Of its own: from then on nothing more is read from a connection that is blocked.
        connection = self._connect(on_blocked=lambda _: answers.append(True))
        try:
            with _broker_errors():
                channel = connection.channel()
                channel.events["basic_return"].add(lambda *_: answers.append(False))
                channel.basic_publish(Message(""), EXCHANGE.name, "no.queue", mandatory=True)
                deadline = monotonic() + _ALARM_SECONDS
                while not answers and monotonic() < deadline:
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=_ALARM_SECONDS / 5)
        except NotFound:  # no worker has declared the exchange yet: the message was read
            return False
        except Refused:
            return None
        finally:
            connection.collect()  # the closing handshake would wait
        return not answers or answers[0]


@contextmanager
def _broker_errors() -> Iterator[None]:
    """Raise Refused or Unreachable in the place of errors that do not concern a queue."""
    try:
        yield
    except (AccessRefused, NotAllowed) as error:
        raise Refused(type(error).__name__) from None
    except (NotFound, PreconditionFailed):
        raise
    except (AMQPError, OSError) as error:
        raise Unreachable(type(error).__name__) from None


class RecordsServer(NamedTuple):
    """What Redis says of itself. `ahead` are the seconds that its clock is ahead of this one."""

    version: str
    is_persistent: bool
    is_written: bool
    eviction: str
    used: int
    limit: int
    ahead: float


def records_server(url: str) -> RecordsServer:
    """Ask the Redis of the records. Raises Refused or Unreachable."""
    client: Any = Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS)
    try:
        with closing(client):
            told = client.info("server") | client.info("persistence") | client.info("memory")
            before = time()
            seconds, microseconds = client.time()
    except (AuthenticationError, NoPermissionError) as error:
        raise Refused(type(error).__name__) from None
    except RedisError as error:
        raise Unreachable(type(error).__name__) from None
    return RecordsServer(
        version=str(told["redis_version"]),
        is_persistent=told["aof_enabled"] == 1,
        is_written=told.get("aof_last_write_status", "ok") == "ok",
        eviction=str(told["maxmemory_policy"]),
        used=int(told["used_memory"]),
        limit=int(told["maxmemory"]),
        ahead=seconds + microseconds / 1e6 - (before + time()) / 2,
    )
