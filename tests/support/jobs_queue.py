"""Jobs to publish, and what queues of the broker hold."""

import json

import pika

from service.jobs.job import Job


def make_job(name: str, kind: str = "score") -> Job:
    """A job with this id."""
    return Job(
        id=name,
        owner="example",
        kind=kind,
        model="regno",
        fingerprint="",
        input="",
        media_type="application/json",
        created=1.0,
        keep=60.0,
    )


def ids(url: str, queue: str) -> list[str]:
    """The jobs in a queue of a broker, which are taken from it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        taken = []
        while (message := channel.basic_get(queue, auto_ack=True))[0]:
            (job,), _, _ = json.loads(message[2])
            taken.append(job)
    return taken
