"""Exchanges and queues of jobs in RabbitMQ, with every limit written down.

    exchange jobs (topic) ─ <kind> ─> queue jobs.<kind> ─ rejected, or delivered too often ─>
    exchange jobs.dead (fanout) ─> queue jobs.dead

The arguments of a queue can't be changed once it is declared, so none follows a setting. Those
that RabbitMQ 3.10 and 4 have different defaults for are given.
"""

from typing import Final

from kombu import Connection, Exchange, Queue

EXCHANGE: Final = Exchange("jobs", type="topic", durable=True)
DEAD_EXCHANGE: Final = Exchange("jobs.dead", type="fanout", durable=True)
# The greatest SCORING_JOB_ATTEMPTS: the record counts attempts, the broker only what kills a
# worker before it can claim its job.
_DELIVERIES: Final = 20
# Some 100 MB a queue. SCORING_JOBS_MAX_WAITING rejects jobs long before, in a usual setting.
_LENGTH: Final = 100_000
# RabbitMQ 4 gives a message up after 20 deliveries, for want of a number.
_UNLIMITED: Final = 2**31 - 1

DEAD: Final = Queue(
    "jobs.dead",
    exchange=DEAD_EXCHANGE,
    durable=True,
    queue_arguments={
        "x-queue-type": "quorum",
        "x-delivery-limit": _UNLIMITED,
        "x-overflow": "reject-publish",
        "x-max-length": _LENGTH,
    },
)


def queue_of(kind: str, length: int = _LENGTH) -> Queue:
    """Return the queue of a kind of job, for at most `length` messages.

    Dead letters are moved at least once: without `reject-publish` it would be at most once.
    """
    return Queue(
        f"{EXCHANGE.name}.{kind}",
        exchange=EXCHANGE,
        routing_key=kind,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": _DELIVERIES,
            "x-dead-letter-exchange": DEAD_EXCHANGE.name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": length,
        },
    )


def declare(connection: Connection, *queues: Queue) -> None:
    """Declare queues with their exchanges, and where their dead letters go."""
    with connection.channel() as channel:
        for queue in (DEAD, *queues):
            queue(channel).declare()
