"""The metrics of two workers add up, whatever becomes of the workers."""

import re
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loadgen.common.processes import free_port
from tests.support.live import exchange, head, started, wait_until_all_answer
from tests.support.metrics import GOOD, ROWS, STARTS, TOKEN, counted, counts, has, send, up, value
from tests.support.server import Server, eventually, serving
from tests.support.strategies import VALID


def test_counts_are_exact_over_workers_that_are_killed_and_reloaded(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        wait_until_all_answer(server)
        begun = value(server, GOOD)
        send(server, 20)
        counted(server, begun + 160)
        server.workers()[0].kill()
        eventually(lambda: value(server, "scoring_worker_starts_total") == 3, "a successor starts")
        eventually(lambda: len(server.pids()) == 2, "there are two workers again")
        assert counts(server) == (begun + 160,) * 3
        send(server, 20)
        counted(server, begun + 320)
        files = len(metrics_files(server))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: value(server, "scoring_worker_starts_total") == 5, "both are replaced")
        eventually(lambda: len(server.pids()) == 2, "the old workers are gone")
        send(server, 20)
        counted(server, begun + 480)
        # The two generations of a reload overlap, no more.
        assert len(metrics_files(server)) <= 2 * files


def metrics_files(server: Server) -> list[Path]:
    """Those that the workers keep their values in."""
    (folder,) = server.metrics_folders()
    return list(folder.glob("*.db"))


def test_many_crashes_leave_no_more_files_and_no_dead_series(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        wait_until_all_answer(server)
        files = sorted(path.name for path in metrics_files(server))
        for crash in range(1, 5):
            server.workers()[-1].kill()
            eventually(partial(has, server, STARTS, 2 + crash), "a successor starts")
        eventually(lambda: up(server) == ["0", "1"], "two workers are up")
        assert sorted(path.name for path in metrics_files(server)) == files


def test_a_restart_begins_at_zero(tmp_path: Path) -> None:
    for number in range(2):
        with serving(tmp_path / str(number)) as server:
            assert value(server, ROWS) == 0
            send(server, 2)
            eventually(partial(has, server, ROWS, 16), "all are counted")


def test_processes_and_the_model_are_reported_by_worker(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        wait_until_all_answer(server)
        eventually(lambda: up(server) == ["0", "1"], "both workers are up")
        assert value(server, "scoring_workers_configured") == 2
        assert value(server, 'scoring_model_loads_total{result="loaded"}') == 2
        for worker in "01":
            memory = f'scoring_process_resident_memory_bytes{{worker="{worker}"}}'
            assert 20e6 < value(server, memory) < 400e6


@pytest.fixture
def apart(tmp_path: Path) -> Any:
    """A server whose metrics have an address of their own, and that address."""
    port = free_port()
    settings = {"metrics_bind": f"127.0.0.1:{port}", "host": "127.0.0.1", "port": str(free_port())}
    with serving(tmp_path, metrics_token="", **settings) as server:
        yield server, port


def test_metrics_at_an_address_of_their_own(apart: tuple[Server, int]) -> None:
    server, port = apart
    with server.client() as client:
        assert client.get("/metrics").status_code == 404
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert "scoring_rows_total" in client.get("/metrics").text
        assert client.get("/healthz").status_code == 200
        for path in ("/", "/reg/", "/docs/", "/openapi.json"):
            reply = client.post(path, content=VALID, headers={"x-api-key": "123321"})
            assert reply.status_code in (404, 405), path


def test_a_request_whose_body_is_awaited_is_in_flight(apart: tuple[Server, int]) -> None:
    """Those for metrics, by which it is seen, do not count at an address of their own."""
    server, port = apart

    def in_flight() -> float:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        [value] = re.findall(r"^scoring_http_requests_in_flight (\S+)$", page, re.MULTILINE)
        return float(value)

    with server.connect() as sock:
        sock.sendall(head(len(VALID)))
        eventually(lambda: in_flight() == 1, "it is in flight")
        sock.sendall(VALID)
        eventually(lambda: in_flight() == 0, "it is answered")


def test_connections_that_wait_are_reported_even_when_all_places_are_taken(tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_bind": f"127.0.0.1:{port}", "host": "127.0.0.1", "port": str(free_port())}

    def queue() -> float:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=TOKEN).text
        return float(page.partition("\nscoring_accept_queue_length ")[2].partition("\n")[0])

    arguments = ("--worker-connections", "1", "--workers", "1")
    with serving(tmp_path, *arguments, workers="1", **settings) as server:
        eventually(lambda: queue() == 0, "none waits")
        with server.connect() as holder:
            holder.sendall(head(len(VALID)))
            waiting = [server.connect() for _ in range(5)]
            eventually(lambda: queue() == 5, "five wait")
        for sock in waiting:
            sock.close()
        eventually(lambda: queue() == 0, "none waits any more")


def test_the_last_counts_are_written_before_a_worker_goes(tmp_path: Path) -> None:
    names = ("scoring_scored_requests_total", "scoring_batch_rows_sum", ROWS)
    with serving(tmp_path) as server:
        wait_until_all_answer(server)
        send(server, 5)
        server.process.send_signal(signal.SIGHUP)
        eventually(partial(has, server, STARTS, 4), "both are replaced")
        eventually(lambda: len(server.pids()) == 2, "the old workers are gone")
        assert [value(server, name) for name in names] == [40.0] * 3


def test_how_many_workers_there_should_be_follows_the_signals(tmp_path: Path) -> None:
    name = "scoring_workers_configured"
    with serving(tmp_path) as server:
        eventually(partial(has, server, name, 2), "two at first")
        server.process.send_signal(signal.SIGTTIN)
        eventually(partial(has, server, name, 3), "one more")
        server.process.send_signal(signal.SIGTTOU)
        eventually(partial(has, server, name, 2), "one less")
        eventually(lambda: len(server.pids()) == 2, "and it is gone")


def test_folders_of_killed_servers_are_swept(tmp_path: Path) -> None:
    with started(tmp_path / "killed") as killed:
        (folder,) = killed.metrics_folders()
        with serving(tmp_path / "other") as other:
            assert folder.exists(), "of a server that lives"
            assert other.metrics_folders() != {folder}
        workers = killed.workers()
        killed.process.kill()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):  # it may notice by itself that it is orphaned
                worker.kill()
                worker.wait(20)
        with serving(tmp_path / "next"):
            eventually(lambda: not folder.exists(), "it is swept")


def test_what_is_no_http_has_a_line_and_a_count(tmp_path: Path) -> None:
    sample = 'scoring_http_requests_total{key="",method="other",route="unmatched",status="400"}'
    with serving(tmp_path) as server:
        reply = exchange(server, b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        assert reply.status == 400
        eventually(partial(has, server, sample, 1), "it is counted")

        def logged() -> list[str]:
            return [line["request_id"] for line in server.log() if line.get("status") == 400]

        eventually(lambda: logged() == [reply.header("x-request-id")], "it has a line")
