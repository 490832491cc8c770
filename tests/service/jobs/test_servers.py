"""The servers that tests of jobs run with: they do as told, keep their data, leave nothing."""

from pathlib import Path

import pika
import psutil
import pytest
from pika.exceptions import AMQPError, ConnectionBlockedTimeout
from redis import Redis

from tests.support.rabbitmq import RabbitMQ
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


def _connection(url: str, blocked_seconds: float | None = None) -> pika.BlockingConnection:
    parameters = pika.URLParameters(url)
    parameters.blocked_connection_timeout = blocked_seconds
    return pika.BlockingConnection(parameters)


def test_the_alarm_blocks_publishers_until_it_ends(rabbitmq: RabbitMQ, broker_url: str) -> None:
    channel = _connection(broker_url, blocked_seconds=0.2).channel()
    channel.queue_declare("q")
    channel.confirm_delivery()
    with rabbitmq.memory_alarm(), pytest.raises(ConnectionBlockedTimeout):
        channel.basic_publish("", "q", b"id")
    with _connection(broker_url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "q", b"id")


def test_a_user_has_the_permissions_that_were_given(rabbitmq: RabbitMQ) -> None:
    url = rabbitmq.add_user("publisher", rabbitmq.add_vhost(), "", "amq.topic", "")
    with _connection(url) as connection:
        channel = connection.channel()
        with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
            channel.queue_declare("q")


def test_the_broker_leaves_no_process_behind(tmp_path: Path) -> None:
    with RabbitMQ(tmp_path):
        assert any(str(tmp_path) in _environment(process) for process in psutil.process_iter())
    assert not [p.name() for p in psutil.process_iter() if str(tmp_path) in _environment(p)]


def test_redis_keeps_its_data_over_a_restart(redis: RedisServer, records_url: str) -> None:
    with Redis.from_url(records_url) as client:
        client.set("kept", "1")
    redis.restart()
    with Redis.from_url(records_url) as client:
        assert client.get("kept") == b"1"


def _environment(process: psutil.Process) -> str:
    try:
        return process.environ().get("HOME", "")
    except psutil.Error:
        return ""
