"""Stops, reloads and deaths at 300 requests a second: only what a killed worker was at can fail."""

import os
import signal
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from loadgen.common.open_loop import StreamStats
from loadgen.common.processes import free_port
from tests.support.edge import edge_before
from tests.support.live import started
from tests.support.load import flooding
from tests.support.metrics import up, value
from tests.support.server import KEY, Server, eventually, serving

pytestmark = pytest.mark.slow

_RATE = 300
_CONNECTIONS = 24
_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\n\r\n" % KEY.encode()
_KEPT = pytest.mark.parametrize("kept", [True, False], ids=["kept", "fresh"])


def _address() -> dict[str, str]:
    return {"host": "127.0.0.1", "port": str(free_port())}


def _assert_none_failed(stats: StreamStats) -> None:
    assert stats.counts().keys() == {"200"}
    assert stats.ends["200"].count > _RATE
    assert len(stats.bodies) == 1


def _all_up(server: Server, starts: int) -> None:
    """Wait until so many workers have started in all, and two of them serve."""
    eventually(lambda: _has_started(server, starts), "all have started")
    eventually(lambda: len(up(server)) == 2, "two serve")
    eventually(lambda: len(server.pids()) == 2, "the old ones are gone")


@_KEPT
def test_hup_fails_no_request(kept: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with serving(tmp_path, **_address()) as server:
        _all_up(server, 2)
        with flooding(server.port, _RATE, _CONNECTIONS, kept=kept) as stream:
            time.sleep(1)
            for generation in (2, 3):
                server.process.send_signal(signal.SIGHUP)
                _all_up(server, 2 * generation)
            time.sleep(0.5)
            stats = stream.stop()
    _assert_none_failed(stats)


@_KEPT
def test_workers_ended_in_turn_fail_no_request(kept: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with serving(tmp_path, **_address()) as server:
        _all_up(server, 2)
        with flooding(server.port, _RATE, _CONNECTIONS, kept=kept) as stream:
            time.sleep(1)
            for starts, pid in enumerate(server.pids(), start=3):
                os.kill(pid, signal.SIGTERM)
                _all_up(server, starts)
            time.sleep(0.5)
            stats = stream.stop()
    _assert_none_failed(stats)


@_KEPT
@pytest.mark.parametrize("drain", ["0", "1"])
def test_term_answers_all_that_was_begun(kept: bool, drain: str, tmp_path: Path) -> None:  # noqa: FBT001
    with started(tmp_path, **_address(), drain_seconds=drain) as server:
        _all_up(server, 2)
        with flooding(server.port, _RATE, _CONNECTIONS, kept=kept) as stream:
            time.sleep(1)
            assert server.stop() == 0
            time.sleep(0.2)
            stats = stream.stop()
    # What is refused never reached it; not one connection ended without its reply.
    assert stats.counts().keys() == {"200", "refused"}
    assert stats.ends["200"].count > _RATE / 2


def test_term_answers_connections_that_wait_to_be_accepted(tmp_path: Path) -> None:
    with started(tmp_path, **_address(), workers="1") as server, ExitStack() as clients:
        server.wait_ready()
        (worker,) = server.workers()
        worker.suspend()
        waiting = [clients.enter_context(server.connect()) for _ in range(40)]
        for client in waiting:
            client.sendall(_REQUEST)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: _has_term_before_it(worker.pid), "the worker got its signal to stop")
        time.sleep(1)  # until its next tick is due: it closes the listener then
        worker.resume()
        for client in waiting:
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.process.wait(10) == 0


def test_a_stop_signal_during_worker_boot_is_obeyed(tmp_path: Path) -> None:
    """The signal mostly comes before the worker's first line: the kernel's list shows it first."""
    with serving(tmp_path, **_address(), workers="1") as server:
        master = server.process.pid
        for _ in range(8):
            (worker,) = _children(master)
            os.kill(worker, signal.SIGKILL)
            while not (young := _children(master) - {worker}):
                pass
            os.kill(min(young), signal.SIGTERM)
            eventually(partial(_are_gone, young, master), "the worker stops", 20)
            eventually(lambda: len(_children(master)) == 1, "there is another")
        eventually(lambda: len(up(server)) == 1, "one serves")


def _are_gone(workers: set[int], master: int) -> bool:
    return not workers & _children(master)


def _children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _has_term_before_it(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    pending = int(status.partition("ShdPnd:")[2].split()[0], 16)
    return bool(pending >> (signal.SIGTERM - 1) & 1)


def test_term_of_one_of_two_services_behind_the_edge_fails_no_request(tmp_path: Path) -> None:
    ports = [_address() for _ in range(2)]
    with (
        started(tmp_path / "0", **ports[0], workers="1", drain_seconds="2") as first,
        serving(tmp_path / "1", **ports[1], workers="1") as second,
        edge_before(tmp_path / "edge", first.port, second.port) as edge,
        flooding(edge.port, _RATE, _CONNECTIONS) as stream,
    ):
        time.sleep(1)
        assert first.stop() == 0
        time.sleep(0.5)
        stats = stream.stop()
    _assert_none_failed(stats)


_GOOD = 'scoring_http_requests_total{key="example",method="POST",route="/reg",status="200"}'
_ROWS = 'scoring_rows_total{result="scored"}'


def test_a_killed_worker_costs_only_what_was_in_flight_in_it(tmp_path: Path) -> None:
    with serving(tmp_path, **_address()) as server:
        _all_up(server, 2)
        with flooding(server.port, _RATE, _CONNECTIONS) as stream:
            for kill in range(3, 6):
                time.sleep(0.7)
                victim = server.workers()[0]
                victim.kill()
                eventually(partial(_has_started, server, kill), "a successor starts")
                _all_up(server, kill)
            stats = stream.stop()
        rows, good = value(server, _ROWS), value(server, _GOOD)
    counts = stats.counts()
    lost = counts.pop("closed", 0)
    # Three times, at most all connections of one of two workers were in the middle of a request.
    assert counts.keys() == {"200"}
    assert lost <= 3 * _CONNECTIONS // 2
    assert counts["200"] <= rows <= counts["200"] + lost
    # Requests are counted as the turn in which they were answered ends.
    assert counts["200"] - 3 * _CONNECTIONS // 2 <= good <= rows
    assert len(stats.bodies) == 1


def _has_started(server: Server, starts: int) -> bool:
    return value(server, "scoring_worker_starts_total") >= starts
