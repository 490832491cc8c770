"""Scores over AMQP: the real broker, the real workers, and the client that callers use."""

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, struct_time, time
from typing import Any, Final

import pika
import pytest

from client.amqp import AmqpClient, BrokerUnavailable, Reply
from tests.support.amqp import AmqpServer, answering
from tests.support.live import Connection
from tests.support.paths import GOLDEN, ROOT, lines
from tests.support.rabbitmq import RabbitMQ
from tests.support.server import Server, eventually
from tests.support.strategies import VALID
from tests.support.swapping import FIRST, SECOND, registry_of_twins

pytestmark = pytest.mark.slow

BODY: Final = VALID
ROWS: Final = [line["request"] for line in lines(GOLDEN)]
_BACK: Final = "The broker is back"


@pytest.fixture(scope="module")
def vhost(rabbitmq: RabbitMQ) -> str:
    """The address of a virtual host of this module's own."""
    return rabbitmq.url(rabbitmq.add_vhost())


@pytest.fixture(scope="module")
def workers(vhost: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmqpServer]:
    """Two workers for the tests that stop none."""
    with answering(tmp_path_factory.mktemp("amqp"), vhost, workers="2") as server:
        yield server


@pytest.fixture
def caller(workers: AmqpServer, vhost: str) -> Iterator[AmqpClient]:
    """A caller's client, and workers that answer it."""
    assert workers.process.poll() is None
    with AmqpClient(vhost) as client:
        yield client


def _publish(url: str, body: bytes, key: str = "score.regno", **properties: Any) -> None:
    """Publish a request that no client would."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().basic_publish("scoring", key, body, pika.BasicProperties(**properties))


def _assert_unanswered(workers: AmqpServer, reason: str, wanted: float) -> None:
    """So many requests must have had no answer, for this reason."""
    sample = "scoring_amqp_requests_unanswered_total"
    eventually(lambda: workers.value(sample, reason=reason) == wanted, f"{wanted} {reason}")


def _waiting(channel: Any) -> int:
    """The requests in the queue that no worker has."""
    count: int = channel.queue_declare("score.regno", passive=True).method.message_count
    return count


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(BODY, id="a row"),
        pytest.param(json.dumps(ROWS).encode(), id="an array"),
        pytest.param(json.dumps([ROWS[0], {}, ROWS[1]]).encode(), id="an array with a bad row"),
        pytest.param(b"{}", id="a field is missing"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="an empty array"),
        pytest.param(b'"\xff"', id="not UTF-8"),
        pytest.param(b'{"a":"' + b"x" * 70_000 + b'"}', id="too long"),
    ],
)
def test_a_reply_is_that_of_http(caller: AmqpClient, live: Server, body: bytes) -> None:
    with closing(Connection(live)) as connection:
        expected = connection.score(body)
    reply = caller.call("regno", body)
    assert (reply.status, reply.body) == (expected.status, expected.body)
    assert reply.headers["x-model-version"] == expected.header("x-model-version")


def test_details_are_given_where_the_header_asks_for_them(caller: AmqpClient) -> None:
    body = json.loads(caller.call("regno", BODY, detail=True).body)["body"]
    assert {"negative", "positive", "decision", "margin"} <= body.keys()


def test_an_unknown_model_is_answered_with_404(caller: AmqpClient) -> None:
    assert caller.call("nothing", BODY).status == 404


def test_the_callers_id_names_the_request(caller: AmqpClient) -> None:
    assert caller.call("regno", BODY, request_id="a-1").headers["x-request-id"] == "a-1"


@pytest.mark.usefixtures("workers")
def test_a_hundred_callers_get_their_own_replies(vhost: str, live: Server) -> None:
    """Each row has another score; two connections, so that replies go to different places."""
    with closing(Connection(live)) as connection:
        scores = connection.score(json.dumps(ROWS).encode()).json()["body"]
    rows = [json.dumps(row).encode() for row in ROWS]
    with AmqpClient(vhost) as one, AmqpClient(vhost) as other:

        def call(number: int) -> None:
            client = (one, other)[number % 2]
            for turn in range(10):
                place = (7 * number + turn) % len(rows)
                reply = client.call("regno", rows[place], timeout=20)
                assert json.loads(reply.body)["body"] == pytest.approx(scores[place], abs=1e-12)

        with ThreadPoolExecutor(100) as threads:
            list(threads.map(call, range(100)))
        assert (one.late_replies, other.late_replies) == (0, 0)


def test_a_request_whose_time_is_over_is_not_scored(workers: AmqpServer, vhost: str) -> None:
    before = workers.value("scoring_amqp_requests_unanswered_total", reason="expired") or 0
    _publish(
        vhost, BODY, reply_to="amq.gen-nobody", expiration="500",
        headers={"x-request-start": f"t={time() - 1}"},
    )  # fmt: skip
    _assert_unanswered(workers, "expired", before + 1)


def test_the_broker_drops_what_expires_in_the_queue(broker_url: str, tmp_path: Path) -> None:
    """No worker runs while it waits: the next one gets only what came later."""
    url = broker_url
    with answering(tmp_path / "first", url):
        pass
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        properties = pika.BasicProperties(reply_to="amq.gen-nobody", expiration="1")
        channel.basic_publish("scoring", "score.regno", BODY, properties)
        eventually(lambda: _waiting(channel) == 0, "the broker has dropped it")


@pytest.mark.parametrize("reply_to", [None, "score.regno", "jobs.score", "scoring.unroutable"])
def test_a_request_cannot_send_its_reply_into_another_queue(
    workers: AmqpServer, vhost: str, reply_to: str | None
) -> None:
    before = workers.value("scoring_amqp_requests_unanswered_total", reason="no reply_to") or 0
    _publish(vhost, BODY, reply_to=reply_to)
    _assert_unanswered(workers, "no reply_to", before + 1)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"headers": {"detail": [{"a": None}]}}, id="a table for a word"),
        pytest.param({"message_id": b"\xff"}, id="an id that is not text"),
        pytest.param({"content_type": b"\xff"}, id="a type that is not text"),
        pytest.param({"correlation_id": b"\xff"}, id="a correlation id that is not text"),
    ],
)
def test_odd_properties_are_answered_and_stop_nothing(
    workers: AmqpServer, vhost: str, properties: dict[str, Any]
) -> None:
    before = workers.value("scoring_amqp_requests_total") or 0
    unanswered = workers.value("scoring_amqp_requests_unanswered_total") or 0
    _publish(vhost, BODY, reply_to="reply.gone", **properties)
    eventually(lambda: workers.value("scoring_amqp_requests_total") == before + 1, "it is answered")
    eventually(
        lambda: workers.value("scoring_amqp_requests_unanswered_total") == unanswered + 1,
        "nobody took the reply",
    )


class _FarTime(datetime):
    """A time that a publisher may send, and Python can't represent: in the year 10000."""

    def utctimetuple(self) -> struct_time:
        return struct_time((9999, 12, 32, 0, 0, 0, 0, 0, 0))


def test_a_time_that_is_none_stops_nothing(
    workers: AmqpServer, caller: AmqpClient, vhost: str
) -> None:
    before = workers.value("scoring_amqp_requests_unanswered_total", reason="requester gone") or 0
    _publish(vhost, BODY, reply_to="reply.gone", headers={"a": _FarTime.now(UTC)})
    _assert_unanswered(workers, "requester gone", before + 1)
    assert caller.call("regno", BODY).status == 200


def test_an_array_is_not_scored_when_its_requester_is_gone(workers: AmqpServer, vhost: str) -> None:
    before = workers.value("scoring_amqp_requests_unanswered_total", reason="requester gone") or 0
    rows = workers.value("scoring_rows_total")
    _publish(vhost, json.dumps(ROWS * 3).encode(), reply_to="amq.gen-gone")
    _assert_unanswered(workers, "requester gone", before + 1)
    assert workers.value("scoring_rows_total") == rows


def test_only_a_row_whose_requester_is_gone_is_counted(
    workers: AmqpServer, caller: AmqpClient, vhost: str
) -> None:
    before = workers.value("scoring_amqp_requests_unanswered_total", reason="requester gone") or 0
    for _ in range(5):
        caller.call("regno", BODY)
    _publish(vhost, BODY, reply_to="reply.gone")
    _assert_unanswered(workers, "requester gone", before + 1)


def test_a_call_without_an_answer_ends_when_its_time_is_over(
    broker_url: str, tmp_path: Path
) -> None:
    with (
        AmqpClient(broker_url) as client,
        answering(tmp_path, broker_url) as server,
    ):
        server.workers()[0].suspend()
        began = monotonic()
        with pytest.raises(TimeoutError):
            client.call("regno", BODY, timeout=0.3)
        assert monotonic() - began >= 0.3
        server.workers()[0].resume()
        assert client.call("regno", BODY, timeout=20).status == 200


def _calls(client: AmqpClient, number: int) -> list[Reply | Exception]:
    """So many calls by 20 threads, each answered or failed."""

    def call(_: int) -> Reply | Exception:
        try:
            return client.call("regno", BODY, timeout=20)
        except (BrokerUnavailable, TimeoutError) as error:
            return error

    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(call, range(number)))


def test_a_stop_answers_what_was_taken_and_leaves_the_rest_to_others(
    broker_url: str, tmp_path: Path
) -> None:
    with (
        AmqpClient(broker_url) as client,
        answering(tmp_path / "a", broker_url),
        answering(tmp_path / "b", broker_url) as stopped,
        ThreadPoolExecutor(1) as thread,
    ):
        calls = thread.submit(_calls, client, 3000)
        eventually(lambda: bool(stopped.value("scoring_amqp_requests_total")), "it answers")
        assert stopped.stop() == 0
        assert [getattr(reply, "status", reply) for reply in calls.result()] == [200] * 3000


def test_a_killed_worker_costs_its_requests_a_503_and_is_replaced(
    broker_url: str, tmp_path: Path
) -> None:
    """A request that kills workers would otherwise kill one after the other."""
    with (
        AmqpClient(broker_url) as client,
        answering(tmp_path, broker_url) as server,
        ThreadPoolExecutor(1) as thread,
    ):
        (worker,) = server.workers()
        worker.suspend()
        calls = thread.submit(_calls, client, 20)
        with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
            channel = connection.channel()
            eventually(
                lambda: client.waiting == 20 and _waiting(channel) == 0, "the worker has all"
            )
        os.kill(worker.pid, signal.SIGKILL)
        replies = calls.result()
        assert [getattr(reply, "status", reply) for reply in replies] == [503] * 20
        assert all(reply.headers["retry-after"] for reply in replies if isinstance(reply, Reply))
        assert client.call("regno", BODY, timeout=20).status == 200


def test_workers_start_without_a_broker_and_come_back_to_it(
    rabbitmq: RabbitMQ, broker_url: str, tmp_path: Path
) -> None:
    url = broker_url
    rabbitmq.stop()
    server = AmqpServer(tmp_path, {"SCORING_BROKER": url})
    with closing(server), AmqpClient(url) as client:
        eventually(lambda: server.value("scoring_amqp_consumers") == 0, "0 processes consume")
        with pytest.raises(BrokerUnavailable):
            client.call("regno", BODY, timeout=0.2)
        rabbitmq.start()
        server.wait_ready()
        assert client.call("regno", BODY, timeout=20).status == 200
        # The broker closes what it has open, as when it is restarted.
        rabbitmq.evaluate('rabbit_networking:close_all_user_connections(<<"tests">>, <<"test">>)')
        # By the log: the worker may be back before anybody reads the metrics.
        eventually(lambda: _said(server).count(_BACK) == 2, "the broker is back twice")
        server.wait_ready()
        assert client.call("regno", BODY, timeout=20).status == 200
        assert server.stop() == 0
    assert _said(server)[1::2] == [_BACK] * 2


def _said(server: AmqpServer) -> list[str]:
    """What its log has of the broker."""
    return [line["message"] for line in server.log() if "broker" in line.get("message", "")]


def test_a_queue_that_is_deleted_is_declared_and_consumed_again(
    broker_url: str, tmp_path: Path
) -> None:
    with AmqpClient(broker_url) as client, answering(tmp_path, broker_url):
        assert client.call("regno", BODY, timeout=20).status == 200
        with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
            connection.channel().queue_delete("score.regno")

        def is_answered() -> bool:
            return client.call("regno", BODY, timeout=20).status == 200

        eventually(is_answered, "the queue is there again")


def test_a_promoted_version_is_served(broker_url: str, tmp_path: Path) -> None:
    registry = registry_of_twins(tmp_path)
    with (
        AmqpClient(broker_url) as client,
        answering(
            tmp_path, broker_url, registry=str(tmp_path / "models"),
            registry_poll_seconds="0.1",
        ),
    ):  # fmt: skip

        def version() -> Any:
            return client.call("regno", BODY, timeout=20).headers["x-model-version"]

        assert version() == FIRST
        registry.promote(SECOND, who="the tests")
        eventually(lambda: version() == SECOND, "the second version serves")


def test_users_need_the_rights_of_the_manual_alone(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "operating.md").read_text("utf-8")
    vhost = rabbitmq.add_vhost()
    line = "rabbitmqctl set_permissions -p scoring {} +'(.*?)' '(.*?)' '(.*?)'"
    (worker,), (caller,) = (re.findall(line.format(user), manual) for user in ("amqp", "caller"))
    own = rabbitmq.add_user("amqp", vhost, *worker)
    with (
        answering(tmp_path, own),
        AmqpClient(rabbitmq.add_user("caller", vhost, *caller)) as client,
    ):
        reply = client.call("regno", BODY, timeout=20)
    assert reply.status == 200


def test_without_a_broker_in_the_settings_nothing_starts(tmp_path: Path) -> None:
    server = AmqpServer(tmp_path, {})
    with closing(server):
        assert server.process.wait(60) == os.EX_CONFIG
