"""The real server starts, shares its work, survives its workers, and leaves nothing behind."""

import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadgen.common.processes import free_port
from model.regno import RegnoScorer
from model.regno.request import from_fields
from tests.support.live import (
    JSON,
    Connection,
    answered,
    connections,
    started,
    wait_until_all_answer,
)
from tests.support.messages import states
from tests.support.paths import GOLDEN, ROOT, lines
from tests.support.reply import Reply
from tests.support.server import KEY_HEADER, Server, eventually, refused, serving
from tests.support.strategies import VALID

SHARED_MEMORY = Path("/dev/shm")


def _port_of_its_own() -> dict[str, str]:
    return {"host": "127.0.0.1", "port": str(free_port())}


def test_where_there_is_no_uvloop_it_serves_by_asyncio(tmp_path: Path) -> None:
    without = tmp_path / "without"
    without.mkdir()
    (without / "uvloop.py").write_text("raise ImportError\n")
    server = Server(tmp_path, {"PYTHONPATH": f"{without}:{ROOT}"})
    try:
        server.wait_ready()
        maps = Path(f"/proc/{server.workers()[0].pid}/maps").read_text()
        assert "httptools" in maps
        assert "uvloop" not in maps
        with connections(server, 8) as opened:
            for connection in opened * 5:
                assert connection.score(VALID).status == 200
    finally:
        server.stop_cleanly()


def test_a_worker_that_the_master_aborts_ends_at_once_and_is_replaced(tmp_path: Path) -> None:
    """As one that stood still: gunicorn's own way would be taken for a failed callback."""
    with serving(tmp_path) as server:
        wait_until_all_answer(server)
        aborted = server.workers()[0]
        aborted.send_signal(signal.SIGABRT)
        eventually(lambda: not psutil.pid_exists(aborted.pid), "it has ended")
        eventually(lambda: len(server.pids()) == 2, "it is replaced")
        wait_until_all_answer(server)


def test_it_starts_scores_and_stops_leaving_nothing(
    tmp_path: Path, scorer: RegnoScorer, request_body: dict[str, Any]
) -> None:
    with serving(tmp_path) as server, server.client() as client:
        wait_until_all_answer(server)
        pids, folders = server.pids(), server.metrics_folders()
        assert len(pids) == 2
        # Those of numerical libraries would not survive a fork.
        assert psutil.Process(server.process.pid).num_threads() == 1
        assert len(folders) == 1
        assert folders <= set(SHARED_MEMORY.glob("scoring-metrics-*"))
        assert client.get("/readyz").json() == {"body": "ready", "status": "ok"}
        (score,) = scorer.score([from_fields(**request_body)])
        assert client.post("/reg/", json=request_body).json() == {
            "body": {"negative": score.negative, "positive": score.positive},
            "status": "ok",
        }
    assert server.process.returncode == 0
    assert not [pid for pid in (*pids, server.process.pid) if psutil.pid_exists(pid)]
    # Only its own: servers of other tests may run meanwhile.
    assert not folders & set(SHARED_MEMORY.glob("scoring-metrics-*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "stderr", "stdout"]
    assert list(server.folder.iterdir()) == []


def test_every_golden_row_scores_the_same_as_in_this_process(
    live: Server, scorer: RegnoScorer
) -> None:
    requests = [line["request"] for line in lines(GOLDEN)]
    expected = [
        {"negative": score.negative, "positive": score.positive}
        for score in scorer.score([from_fields(**request) for request in requests])
    ]
    with live.client() as client:
        singles = [client.post("/reg/", json=request).json()["body"] for request in requests]
        assert singles == expected
        assert client.post("/reg/", json=requests).json() == {"body": expected, "status": "ok"}


def test_both_workers_get_work_from_eight_connections(live: Server) -> None:
    wait_until_all_answer(live)
    before = answered(live)
    for _ in range(5):
        with connections(live, 8) as opened:
            for connection in opened * 9:
                assert connection.score(VALID).status == 200
    # A worker counts requests at the end of the loop iteration that answered them: the last ones
    # appear a moment later, and the last of each worker before `before` may be among them.
    eventually(lambda: sum(_worked(live, before)) >= 5 * 8 * 10, "all are counted")
    worked = _worked(live, before)
    assert len(worked) == 2
    assert sum(worked) <= 5 * 8 * 10 + 2
    # One worker answers all that one connection sends: so each had four connections at least. Where
    # the machine holds one of them up, the other accepts more.
    assert min(worked) >= 40


def _worked(live: Server, before: dict[int, float]) -> list[float]:
    """The requests that each worker has answered since `before`."""
    now = answered(live)
    return [now[pid] - before[pid] for pid in live.pids()]


def test_a_killed_worker_is_replaced_and_serves_again(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        wait_until_all_answer(server)
        victim, survivor = server.workers()
        victim.kill()
        eventually(lambda: victim.pid not in server.pids(), "the dead worker is noticed")
        eventually(lambda: len(server.pids()) == 2, "another worker is started")
        assert survivor.pid in server.pids()
        (newcomer,) = set(server.pids()) - {survivor.pid}
        # It opens the files of the place some time after it is there.
        eventually(lambda: answered(server)[newcomer] > 0, "it goes on with the dead one's counts")
        inherited = answered(server)[newcomer]

        def newcomer_answers() -> bool:
            with connections(server, 8) as opened:
                assert {connection.score(VALID).status for connection in opened} == {200}
            return answered(server)[newcomer] > inherited

        eventually(newcomer_answers, "the new worker answers")
        with server.client() as client:
            assert client.get("/readyz").status_code == 200


@pytest.mark.slow
def test_a_second_server_on_the_same_port_refuses_to_start(tmp_path: Path) -> None:
    address = _port_of_its_own()
    (tmp_path / "second").mkdir()
    with serving(tmp_path / "first", **address) as server:
        pids = server.pids()
        second = refused(tmp_path / "second", **address, workers="2")
        field = f"SCORING_PORT: 127.0.0.1:{address['port']} "
        assert second.returncode == 75
        assert second.stdout.count(field) == second.stdout.count("trying again") == 5
        assert states(second.stderr, f"Not started. {field}", "taken", "another process")
        assert list((tmp_path / "second").iterdir()) == []
        assert server.pids() == pids
        with closing(Connection(server)) as connection:
            assert connection.score(VALID).status == 200


# Far longer than a test waits for the end of a server: a test that waits for it fails.
_GRACE = "600"


def test_idle_kept_alive_connections_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    with (
        started(tmp_path, graceful_timeout=_GRACE) as server,
        connections(server, 8) as opened,
    ):
        assert {connection.score(VALID).status for connection in opened} == {200}
        assert server.stop() == 0
        for connection in opened:
            assert connection.sock.recv(1) == b""


@pytest.mark.parametrize(
    "sent", [b"", b"POST /reg/ HTTP/1.1\r\nHost: "], ids=["nothing", "half a head"]
)
def test_a_connection_that_sent_little_does_not_hold_up_the_stop(
    tmp_path: Path, sent: bytes
) -> None:
    with (
        started(tmp_path, graceful_timeout=_GRACE) as server,
        server.connect() as silent,
        connections(server, 1),
    ):
        silent.sendall(sent)
        assert server.stop() == 0
        assert silent.recv(1) == b""


def test_connections_that_say_nothing_give_their_places_up(tmp_path: Path) -> None:
    with ExitStack() as held, serving(tmp_path, "--worker-connections=5", workers="1") as server:
        kept = held.enter_context(closing(Connection(server)))
        assert kept.score(VALID).status == 200
        for number in range(8):
            silent = held.enter_context(server.connect())
            silent.sendall(b"POST /reg/ HTTP/1.1\r\nHost: " if number % 2 else b"")
        # The client waits for half of SCORING_KEEPALIVE, no longer.
        for path in ("/healthz", "/readyz"):
            with server.client() as client:
                assert client.get(path).status_code == 200


def test_a_request_in_flight_is_answered_before_the_stop(tmp_path: Path) -> None:
    with started(tmp_path) as server, connections(server, 1) as (connection,):
        connection.putrequest("POST", "/reg/")
        for name, value in KEY_HEADER.items():
            connection.putheader(name, value)
        connection.putheader("Content-Type", JSON)
        connection.putheader("Content-Length", str(len(VALID)))
        connection.endheaders(VALID[:50])
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not server.socket.exists(), "the listening socket is gone")
        connection.send(VALID[50:])
        reply = Reply.of(connection.getresponse())
        assert reply.status == 200
        assert reply.json()["status"] == "ok"
        assert server.process.wait(30) == 0


def test_the_example_key_opens_nothing_when_keys_are_given(tmp_path: Path) -> None:
    with serving(tmp_path, api_keys="field:other") as server, closing(Connection(server)) as opened:
        assert opened.ask("GET", "/", headers=KEY_HEADER).status == 401
        assert opened.ask("GET", "/", headers={"x-api-key": "other"}).status == 200
