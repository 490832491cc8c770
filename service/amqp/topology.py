"""The exchanges and queues of requests: who publishes what, and where it goes.

    exchange `scoring` (topic) -- score.<model> --> queue `score.<model>`
          `-- no such queue --> exchange `scoring.unroutable` --> queue `scoring.unroutable`

A caller's user needs the permission to write to the exchange `scoring` alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

EXCHANGE: Final = "scoring"
UNROUTABLE: Final = "scoring.unroutable"

# Requests that wait at most, of each model: then the broker refuses more, which the publisher
# learns by its confirmation.
_LONGEST: Final = 10_000
_LARGEST: Final = 256 * 1024 * 1024
# A request without an expiration of its own is of no use after so many milliseconds.
_EXPIRES: Final = 60_000
# All limits are stated, since their defaults differ between RabbitMQ 3.10 and 4.
QUEUE_ARGUMENTS: Final[dict[str, Any]] = {
    "x-queue-type": "classic",
    "x-max-length": _LONGEST,
    "x-max-length-bytes": _LARGEST,
    "x-overflow": "reject-publish",
    "x-message-ttl": _EXPIRES,
}


def queue_of(model: str) -> str:
    """The name of a model's queue, which is its routing key too."""
    return f"score.{model}"


def declare(channel: Any, models: Sequence[str], declared: Callable[[], None]) -> None:
    """Declare all of it on a channel of pika, then call `declared`.

    A queue that exists with other arguments closes the channel: delete it first.
    """
    # The broker works in order and answers the last method only: then all is declared.
    channel.exchange_declare(UNROUTABLE, "fanout", durable=True)
    channel.queue_declare(UNROUTABLE, durable=True, arguments=QUEUE_ARGUMENTS)
    channel.queue_bind(UNROUTABLE, UNROUTABLE)
    alternate = {"alternate-exchange": UNROUTABLE}
    channel.exchange_declare(EXCHANGE, "topic", durable=True, arguments=alternate)
    for model in models:
        queue = queue_of(model)
        channel.queue_declare(queue, durable=True, arguments=QUEUE_ARGUMENTS)
        done = (lambda _frame: declared()) if model == models[-1] else None
        channel.queue_bind(queue, EXCHANGE, queue, callback=done)
