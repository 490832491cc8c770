"""What the dashboards *Jobs* and *Pictures* show: web processes, a job worker, an AMQP worker."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Final

import httpx
import pika

from client.amqp import AmqpClient, BrokerUnavailable
from loadgen.common.processes import free_port, responds, running
from tests.support.pictures import file_of, five
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis_server import RedisServer
from tests.support.strategies import VALID
from tests.support.webhooks import SECRET, receiving

_PAUSE_SECONDS: Final = 0.2
# A body that no attempt can score, and a requester that is gone, now and then.
_BAD_EVERY: Final = 5
_PNG: Final = {"content-type": "image/png"}
_GONE: Final = pika.BasicProperties(reply_to="reply.gone", correlation_id="1")


@contextmanager
def running_queue_path(folder: Path, key: str, settings: dict[str, str]) -> Iterator[list[int]]:
    """The processes, which jobs and requests come to; the ports of their metrics.

    `settings` are those of the service, `key` is of a caller named cameras. Raises CannotStart.
    """
    web, *metrics = (free_port() for _ in range(4))
    folder.mkdir()
    with (
        RabbitMQ(_made(folder / "rabbitmq")) as rabbitmq,
        RedisServer(_made(folder / "redis")) as redis,
        receiving(204, 500, 204) as receiver,
    ):
        broker = rabbitmq.url(rabbitmq.add_vhost())
        endpoints = folder / "webhooks"
        endpoints.write_text(f"cameras done {receiver.url} {SECRET}\n")
        own = {
            **settings,
            "SCORING_WORKERS": "1",
            "SCORING_JOBS_DIR": str(folder / "jobs"),
            "SCORING_WEB_PORT": str(web),
            "SCORING_WEB_METRICS_BIND": f"127.0.0.1:{metrics[0]}",
            "SCORING_WORKER_METRICS_BIND": f"127.0.0.1:{metrics[1]}",
            "SCORING_WEBHOOKS_FILE": str(endpoints),
            "SCORING_WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
            "SCORING_CACHE": redis.url,
            "SCORING_CACHE_SECRET": "s" * 32,
        }
        amqp = {
            **own,
            "SCORING_BROKER": broker,
            "SCORING_WORKER_METRICS_BIND": f"127.0.0.1:{metrics[2]}",
        }
        with (
            _started("service.web", web, folder / "web" / "log", own),
            _started("service.amqp", metrics[2], folder / "amqp" / "log", amqp),
            _calling(f"http://127.0.0.1:{web}", key, broker),
        ):
            yield metrics


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@contextmanager
def _started(module: str, port: int, log: Path, settings: dict[str, str]) -> Iterator[None]:
    ready = lambda: responds(f"http://127.0.0.1:{port}/readyz")  # noqa: E731
    with running((sys.executable, "-m", module), log, ready, settings):
        yield


@contextmanager
def _calling(url: str, key: str, broker: str) -> Iterator[None]:
    """Submit jobs and send requests until the end of the block."""
    ends = Event()

    def call() -> None:
        with (
            httpx.Client(base_url=url, headers={"x-api-key": key}) as web,
            AmqpClient(broker) as amqp,
            pika.BlockingConnection(pika.URLParameters(broker)) as connection,
        ):
            channel, digit = connection.channel(), file_of(five(), "PNG")
            for number in count():
                body = {"model": "regno", "input": json.loads(VALID), "webhook": "done"}
                web.post("/jobs", json=body)
                picture = b"no picture" if number % _BAD_EVERY == 0 else digit
                web.post("/digits/classify", content=picture, headers=_PNG)
                try:
                    bad = number % _BAD_EVERY == 0
                    amqp.call("regno", b"{}" if bad else VALID)
                    if bad:
                        channel.basic_publish("scoring", "score.regno", VALID, _GONE)
                except (BrokerUnavailable, TimeoutError):
                    pass
                if ends.wait(_PAUSE_SECONDS):
                    return

    caller = Thread(target=call, name="callers")
    caller.start()
    try:
        yield
    finally:
        ends.set()
        caller.join()
