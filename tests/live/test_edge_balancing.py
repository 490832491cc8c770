"""Several services behind the edge: shared work, deaths and reloads that no client notices."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest

from loadgen.common.processes import free_port
from tests.support.echo import Echo, Received, Say, echoing
from tests.support.edge import Edge, assert_refused_by_edge, edge_before, exchange
from tests.support.live import started
from tests.support.reply import Reply
from tests.support.server import Server, eventually
from tests.support.strategies import VALID

_CLIENTS = 6


@pytest.fixture
def pair() -> Iterator[tuple[Echo, Echo]]:
    with echoing() as one, echoing() as other:
        yield one, other


class Stream:
    """Clients that score without a pause: what they got."""

    def __init__(self, edge: Edge, *, kept: bool) -> None:
        self._edge = edge
        self._kept = kept
        self._over = Event()
        self.answers: list[Reply] = []
        self.broken: list[str] = []
        self._threads = [Thread(target=self._client) for _ in range(_CLIENTS)]

    def _client(self) -> None:
        connection = self._edge.connection()
        while not self._over.is_set():
            fresh = connection.sock is None
            try:
                self.answers.append(exchange(connection, "POST", "/reg/", VALID))
            except (OSError, HTTPException) as error:
                # A kept connection may end between two requests: every client opens another.
                if fresh:
                    self.broken.append(repr(error))
                connection.close()
            if not self._kept:
                connection.close()
        connection.close()

    def go_on(self, count: int = 300) -> None:
        """Wait for so many more replies."""
        wanted = len(self.answers) + count
        eventually(lambda: len(self.answers) >= wanted, "the stream goes on")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def assert_all_scored(self) -> None:
        """Not one failed."""
        assert self.broken == []
        assert {(answer.status, answer.json()["status"]) for answer in self.answers} == {
            (200, "ok"),
        }


@contextmanager
def services(folder: Path, *ports: int) -> Iterator[list[Server]]:
    """Real services, each with a worker."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(
                started(folder / str(port), host="127.0.0.1", port=str(port), workers="1")
            )
            for port in ports
        ]


def _kill_all(server: Server) -> None:
    """Master and workers at once, as a container is killed."""
    for pid in (*server.pids(), server.process.pid):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
def test_a_service_is_killed_under_load_and_no_request_fails(kept: bool, tmp_path: Path) -> None:  # noqa: FBT001
    ports = free_port(), free_port()
    # The successor outlives the stream.
    with services(tmp_path, *ports) as (first, second), ExitStack() as later:
        with edge_before(tmp_path / "edge", *ports) as edge, Stream(edge, kept=kept) as stream:
            stream.go_on()
            eventually(lambda: _serves(first) and _serves(second), "both serve")
            _kill_all(first)
            stream.go_on(900)
            [successor] = later.enter_context(services(tmp_path / "again", ports[0]))
            eventually(lambda: _serves(successor), "the successor serves")
            _kill_all(second)
            stream.go_on()
        stream.assert_all_scored()
        assert any("," in line["upstream"] for line in edge.log())
        assert {line["status"] for line in edge.log()} == {200}


def _serves(server: Server) -> bool:
    return '"/reg"' in server.output()


@pytest.mark.slow
def test_a_service_ends_as_it_should_under_load_and_no_request_fails(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with services(tmp_path, *ports) as (first, second):
        with edge_before(tmp_path / "edge", *ports) as edge, Stream(edge, kept=True) as stream:
            stream.go_on()
            assert first.stop() == 0
            stream.go_on()
            second.process.send_signal(signal.SIGHUP)
            stream.go_on(900)
        stream.assert_all_scored()


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
def test_the_edge_is_reloaded_under_load_and_no_request_fails(kept: bool, tmp_path: Path) -> None:  # noqa: FBT001
    ports = free_port(), free_port()
    with services(tmp_path, *ports) as (_, added):
        with edge_before(tmp_path / "edge", ports[0]) as edge, Stream(edge, kept=kept) as stream:
            stream.go_on()
            assert not _serves(added)
            edge.render(upstreams=f"127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
            for _ in range(3):
                edge.reload()
                stream.go_on()
            eventually(lambda: _serves(added), "the new one serves")
        stream.assert_all_scored()


@pytest.mark.slow
def test_all_services_down_give_502_until_one_is_back(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with edge_before(tmp_path / "edge", *ports) as edge:
        for _ in range(20):
            assert_refused_by_edge(edge.ask("POST", "/reg/", VALID), 502, "can't be reached")
        with services(tmp_path, *ports):
            eventually(lambda: edge.ask("POST", "/reg/", VALID).status == 200, "it is found")


def test_a_stop_of_the_edge_waits_for_requests_in_flight(
    pair: tuple[Echo, Echo], tmp_path: Path
) -> None:
    arrived, go_on = Event(), Event()

    def slowly(_: object) -> tuple[int, dict[str, str], bytes]:
        arrived.set()
        go_on.wait(20)
        return 200, {}, b"late"

    pair[0].answer = slowly
    answers: list[Reply] = []
    with edge_before(tmp_path / "edge", pair[0].port) as edge:
        client = Thread(target=lambda: answers.append(edge.ask("POST", "/reg/", VALID)))
        client.start()
        assert arrived.wait(20)
        edge.process.send_signal(signal.SIGQUIT)
        eventually(lambda: _refuses(edge.port), "no new connection is taken")
        assert answers == []
        go_on.set()
        client.join()
        assert edge.process.wait(20) == 0
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"late")]


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.slow
def test_work_goes_where_least_is_in_progress(pair: tuple[Echo, Echo], tmp_path: Path) -> None:
    one, other = pair
    with edge_before(tmp_path / "edge", one.port, other.port, workers="1") as edge:
        for _ in range(40):
            edge.ask("POST", "/reg/", VALID)
        assert (len(one.received), len(other.received)) == (20, 20)
        stuck = Event()

        def hang(_: object) -> tuple[int, dict[str, str], bytes]:
            stuck.wait(20)
            return 200, {}, b"{}"

        one.answer = hang
        held = Thread(target=lambda: [edge.ask("POST", "/reg/", VALID) for _ in range(2)])
        held.start()
        eventually(lambda: len(one.received) > 20, "one is busy")
        before = len(one.received), len(other.received)
        for _ in range(40):
            assert edge.ask("POST", "/reg/", VALID).status == 200
        stuck.set()
        held.join()
        assert before[0] == 21
        assert len(other.received) - before[1] >= 40


def _score(edge: Edge) -> Reply:
    return edge.ask("POST", "/reg/", VALID)


def test_explanations_that_cant_be_made_keep_no_service_from_scoring(
    pair: tuple[Echo, Echo], tmp_path: Path
) -> None:
    """A service without room for another process answers them with 503, and scores all the same."""

    def answer(request: Received) -> Say:
        busy = request.path.startswith("/reg/explain")
        return (503 if busy else 200), {"Retry-After": "2"}, b"{}"

    for echo in pair:
        echo.answer = answer
    with edge_before(tmp_path, *(echo.port for echo in pair)) as edge:
        for number in range(12):
            path = ("/reg/explain", "/reg/explain/")[number % 2]
            refused = edge.ask("POST", path, VALID)
            assert (refused.status, refused.all("Retry-After")) == (503, ["2"])
            assert edge.ask("POST", "/reg/", VALID).status == 200


@pytest.mark.parametrize(("status", "times"), [(503, 2), (500, 1), (429, 1), (400, 1), (502, 1)])
def test_only_a_503_is_retried_at_another_service(
    status: int, times: int, pair: tuple[Echo, Echo], tmp_path: Path
) -> None:
    for echo in pair:
        echo.answer = lambda _: (status, {"Retry-After": "9"}, b"its own")
    with edge_before(tmp_path / "edge", *(echo.port for echo in pair)) as edge:
        reply = _score(edge)
    assert (reply.status, reply.body, reply.all("Retry-After")) == (status, b"its own", ["9"])
    assert sum(len(echo.received) for echo in pair) == times


def test_a_broken_connection_is_retried_once_for_a_score_and_never_for_another_post(
    pair: tuple[Echo, Echo], tmp_path: Path
) -> None:
    for echo in pair:
        echo.answer = lambda _: None
    with edge_before(tmp_path / "edge", *(echo.port for echo in pair)) as edge:
        assert_refused_by_edge(_score(edge), 502, "can't be reached")
        assert [len(echo.received) for echo in pair] == [1, 1]
        for echo in pair:
            echo.received.clear()
        assert_refused_by_edge(edge.ask("POST", "/model/rollback", b"{}"), 502, "can't be reached")
        assert sum(len(echo.received) for echo in pair) == 1


@pytest.mark.slow
def test_a_host_that_does_not_even_refuse_is_out_of_turn_after_three_requests(
    pair: tuple[Echo, Echo], tmp_path: Path
) -> None:
    with ExitStack() as opened:
        # A listener whose queue is full drops what knocks, as a host that is gone does.
        mute = opened.enter_context(socket.socket())
        mute.bind(("127.0.0.1", 0))
        mute.listen(0)
        port = mute.getsockname()[1]
        for _ in range(3):
            filler = opened.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        with edge_before(tmp_path / "edge", port, pair[0].port, workers="1") as edge:
            assert [_score(edge).status for _ in range(20)] == [200] * 20
        # Each of these waited for a second. On a slow machine it may have had another turn.
        waited = [line for line in edge.log() if line["upstream"].startswith(f"127.0.0.1:{port},")]
        assert 3 <= len(waited) < 20
        assert len(pair[0].received) == 20
