"""A stop with a drain time: load balancers see it first, and no request is lost."""

import signal
import time
from pathlib import Path

import pytest

from service.overload.admission import SHED_REASONS
from tests.support.live import JSON, Connection, connections, standing_still, started
from tests.support.reply import Reply
from tests.support.server import KEY_HEADER, METRICS_TOKEN, Server, eventually, serving
from tests.support.strategies import VALID

HEADERS = {**KEY_HEADER, "Content-Type": JSON}

# Connections that send at once: more than a batch has rows.
_MANY = 400


def readiness(server: Server) -> int:
    with server.client() as client:
        return client.get("/readyz").status_code


@pytest.mark.slow
def test_it_serves_on_while_it_is_no_longer_ready(tmp_path: Path) -> None:
    with started(tmp_path, drain_seconds="3") as server, server.client() as client:
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        eventually(lambda: readiness(server) == 503, "the server is not ready")
        assert client.get("/healthz").status_code == 200
        while time.monotonic() - began < 2:
            reply = client.post("/reg/", content=VALID, headers=HEADERS)
            assert reply.status_code == 200
            assert reply.headers["connection"] == "close"
        assert server.process.wait(20) == 0
        assert time.monotonic() - began >= 3


@pytest.mark.slow
def test_a_second_signal_ends_the_grace(tmp_path: Path) -> None:
    with started(tmp_path, drain_seconds="60") as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: readiness(server) == 503, "the server is not ready")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.mark.slow
def test_a_worker_killed_during_the_drain_is_replaced(tmp_path: Path) -> None:
    with started(tmp_path, workers="1", drain_seconds="60") as server:
        (worker,) = server.workers()
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: readiness(server) == 503, "the server is not ready")
        worker.kill()
        with server.client() as client:
            reply = client.post("/reg/", content=VALID, headers=HEADERS)
        assert reply.status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.mark.slow
def test_in_the_grace_refused_requests_close_their_connections_too(tmp_path: Path) -> None:
    with started(
        tmp_path, workers="1", drain_seconds="60", max_waiting="0", max_wait_ms="1"
    ) as server:
        with connections(server, _MANY) as opened:
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: readiness(server) == 503, "the server is not ready")
            replies = _at_once(server, opened)
        assert {reply.status for reply in replies} == {200, 429}
        assert {reply.header("connection") for reply in replies} == {"close"}
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.mark.slow
def test_early_rejections_are_counted_and_logged_each_second(tmp_path: Path) -> None:
    with serving(tmp_path, workers="1", max_waiting="0", max_wait_ms="1") as server:
        with connections(server, _MANY) as opened:
            statuses = [reply.status for _ in range(3) for reply in _at_once(server, opened)]
        refused = sum(status == 429 for status in statuses)
        assert set(statuses) == {200, 429}
        eventually(lambda: _logged_rejections(server) == refused, "all refusals are counted")
        with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
            page = client.get("/metrics").text
    samples = dict(line.rsplit(" ", 1) for line in page.splitlines() if line[0] != "#")
    shed = {name: float(v) for name, v in samples.items() if "requests_shed_total" in name}
    assert len(shed) == len(SHED_REASONS)
    assert sum(shed.values()) == refused


def _at_once(server: Server, opened: list[Connection]) -> list[Reply]:
    """The replies to requests that come all in the same moment, one on each connection."""
    with standing_still(server):
        for connection in opened:
            connection.request("POST", "/reg/", VALID, HEADERS)
    return [Reply.of(connection.getresponse()) for connection in opened]


def _logged_rejections(server: Server) -> int:
    lines = [line for line in server.log() if "rejected with 429" in str(line.get("message"))]
    access = [line for line in server.log() if line.get("status") == 429]
    return sum(int(line["message"].split()[0]) for line in lines) + len(access)


@pytest.mark.slow
def test_what_is_left_of_a_refused_body_is_no_request(tmp_path: Path) -> None:
    """The rest of a body looks like a request; the one after it is answered, and only that."""
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20
    with serving(tmp_path, workers="1", max_waiting="0", max_wait_ms="1") as server:
        held = [Connection(server) for _ in range(_MANY)]
        late = Connection(server)
        for connection in held:
            connection.request("POST", "/reg/", VALID, HEADERS)
        late.putrequest("POST", "/reg/")
        for name, value in {**HEADERS, "Content-Length": str(len(smuggled))}.items():
            late.putheader(name, value)
        late.endheaders(smuggled[:10])
        time.sleep(0.05)  # so that the rest comes apart from the head
        late.send(smuggled[10:])
        assert Reply.of(late.getresponse()).status in {400, 429}
        statuses = {Reply.of(connection.getresponse()).status for connection in held}
        assert statuses <= {200, 429}
        late.request("POST", "/reg/", VALID, HEADERS)
        assert b"positive" in Reply.of(late.getresponse()).body
        for connection in (*held, late):
            connection.close()
