"""Whole runs: Locust with its processes, against a service or a double with faults."""

import re
import signal
import socket
import socketserver
import subprocess
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from loadgen.load.stats import LOST
from loadgen.load.verdict import EXIT_CODES, Outcome
from tests.support.load import command, double, environment, load, locust, shapes_file, written
from tests.support.messages import mentions
from tests.support.paths import ROOT
from tests.support.server import KEY, eventually, serving
from tests.support.web_server import web_serving

LOCUSTS_PORT = 5557


@pytest.mark.slow
def test_a_service_with_stalls_breaks(tmp_path: Path) -> None:
    """A closed loop would have sent nothing meanwhile, and measured one slow request a user."""
    with double(every=5, stall=1) as url:
        shapes = shapes_file(tmp_path, seconds=10)
        code, output = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
    (stage,) = written(tmp_path)["stages"]
    assert code == 1, output
    assert stage["sent"] == stage["planned"] == 1000
    assert stage["latency_ms"]["p99"] >= 500
    assert {check["name"] for check in stage["checks"] if not check["holds"]} >= {"p99, ms"}


@pytest.mark.slow
def test_two_workers_share_one_schedule(tmp_path: Path) -> None:
    with double() as url, socket.socket() as another_run:
        with suppress(OSError):  # taken by another one already
            another_run.bind(("", LOCUSTS_PORT))
            another_run.listen()
        arguments = ("--url", url, "--processes", "2")
        code, output = load(tmp_path, shapes_file(tmp_path), *arguments, LOADGEN_API_KEY="k")
    content = written(tmp_path)
    (stage,) = content["stages"]
    assert content["about"]["generators"] == 2, output
    assert stage["sent"] == stage["planned"] == 400
    assert stage["failures"] == {}
    assert mentions(output, "Golden rows: ", "not checked", "no version")
    assert re.search(r"golden rows with another score +- +≤ +0  not checked\n", output)
    assert code in {0, 1}, output  # how quick the double is on a busy machine is not the question


@pytest.mark.slow
def test_manually_started_generators_use_the_schedule_of_the_master(tmp_path: Path) -> None:
    """Its shape is what counts, the time to wait for a reply too, and its clock.

    The worker's own file is another, and its time of day half a minute behind.
    """
    port = str(free_port())
    shapes = shapes_file(tmp_path, seconds=4, timeout=1)
    (tmp_path / "other").mkdir()
    others = shapes_file(tmp_path / "other", rate=1, timeout=60)
    with double(every=4, stall=2) as url:
        master = locust("--master", "--master-bind-port", port, "--expect-workers", "1",
                        "--headless", "-H", url, "--shapes", str(shapes),
                        "--out", str(tmp_path / "out"))  # fmt: skip
        behind = tmp_path / "sitecustomize.py"
        behind.write_text("import time\nnow = time.time\ntime.time = lambda: now() - 30\n")
        worker = locust("--worker", "--master-port", port, "--shapes", str(others),
                        PYTHONPATH=str(tmp_path))  # fmt: skip
        with master, worker:
            output, _ = master.communicate(timeout=60)
            worker.wait(20)
    (stage,) = written(tmp_path)["stages"]
    assert master.returncode == 1, output
    assert stage["planned"] == 400
    assert set(stage["failures"]) == {"single: TimeoutError"}, output


@pytest.mark.slow
def test_a_generator_that_stood_still_gives_no_verdict(tmp_path: Path) -> None:
    """Few of its users noticed, but the requests of a second were late: not the service's doing."""
    shapes = shapes_file(tmp_path, connections=4, limits="objective", late=100)
    with double() as url:
        files = ("--shapes", str(shapes), "--out", str(tmp_path / "out"))
        with locust("--headless", "--only-summary", "-H", url, *files) as process:
            next(line for line in process.stdout or () if line.startswith("   3 s"))
            process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            process.send_signal(signal.SIGCONT)
            output = process.communicate(timeout=60)[0]
    assert process.returncode == EXIT_CODES[Outcome.GENERATOR_LAGGED], output


@pytest.mark.slow
def test_a_service_that_refuses_everything_breaks(tmp_path: Path) -> None:
    with double() as url:
        shapes = shapes_file(tmp_path, mix="wrong_key = 1", seconds=3)
        code, output = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
    (stage,) = written(tmp_path)["stages"]
    assert code == 1, output
    assert stage["failures"] == {"wrong_key: status 200, not 401": 300}
    assert stage["right"] == 0


@pytest.mark.slow
def test_an_address_without_a_listener_breaks(tmp_path: Path) -> None:
    shapes = shapes_file(tmp_path, seconds=2)
    url = f"http://127.0.0.1:{free_port()}"
    code, output = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
    assert code == 1, output
    assert "single: ConnectionRefusedError" in output


class HalfReplies(socketserver.StreamRequestHandler):
    """Sends a head and one byte, and closes the connection."""

    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"

    def handle(self) -> None:
        length = 0
        for line in iter(self.rfile.readline, b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        self.wfile.write(self.reply)


class Elsewhere(HalfReplies):
    """Redirects every request."""

    reply = b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Drips(HalfReplies):
    """Sends its reply byte by byte: each byte arrives soon, the whole reply never."""

    def handle(self) -> None:
        super().handle()
        with suppress(OSError):  # the client has closed it
            for _ in range(99):
                time.sleep(0.1)
                self.wfile.write(b" ")


def failures(folder: Path, handler: type[HalfReplies]) -> dict[str, int]:
    """Of the 40 requests of a run that breaks."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            shapes = shapes_file(folder, seconds=2, rate=20)
            code, output = load(folder, shapes, "--url", url, LOADGEN_API_KEY="k")
        finally:
            server.shutdown()
            thread.join()
    (stage,) = written(folder)["stages"]
    assert code == 1, output
    assert stage["sent"] == 40
    counts: dict[str, int] = stage["failures"]
    return counts


@pytest.mark.slow
def test_half_a_reply_is_a_failure_like_any_other(tmp_path: Path) -> None:
    counts = failures(tmp_path, HalfReplies)
    assert sum(counts.values()) == 40
    assert all(reason.startswith("single: ") for reason in counts)


@pytest.mark.slow
def test_a_reply_that_drips_is_late_as_a_whole(tmp_path: Path) -> None:
    assert failures(tmp_path, Drips) == {"single: TimeoutError": 40}
    (stage,) = written(tmp_path)["stages"]
    assert stage["latency_ms"]["p50"] >= 3000


@pytest.mark.slow
def test_a_redirection_is_not_followed(tmp_path: Path) -> None:
    assert failures(tmp_path, Elsewhere) == {"single: status 301, not 200": 40}


@pytest.mark.slow
def test_the_real_service_gives_all_right_replies_to_every_kind(tmp_path: Path) -> None:
    mix = "single = 80\narray = 10\nbad = 5\nwrong_key = 5"
    shapes = shapes_file(tmp_path, mix=mix, limits="objective")
    code, output = load(tmp_path, shapes)
    content = written(tmp_path)
    (stage,) = content["stages"]
    # After a moment in which the machine stood still, arrays are the first to be refused.
    assert set(stage["failures"]) <= {"array: status 429, not 200"}, output
    assert stage["sent"] == stage["planned"] == 400
    assert content["golden_rows"] > 50
    assert code in {0, 1}, output
    page = (tmp_path / "out/made.html").read_text(encoding="utf-8")
    assert content["outcome"] in page
    assert "<svg" in page


JOBS = {"mix": "job = 8\ntable = 2\ntable_rows = 200", "limits": "job_test", "rate": 10}


@pytest.mark.slow
def test_jobs_are_followed_to_their_end(tmp_path: Path) -> None:
    code, output = load(tmp_path, shapes_file(tmp_path, **JOBS))
    content = written(tmp_path)
    (stage,) = content["stages"]
    assert stage["failures"] == {}, output
    assert (stage["sent"], stage["jobs"]["ended"], stage["jobs"]["lost"]) == (40, 40, 0)
    assert content["golden_rows"] > 0
    assert content["golden_rows_wrong"] == 0
    assert sum(second["rows"] for second in content["seconds"]) >= 200
    assert stage["jobs"]["finished_ms"]["p50"] >= stage["latency_ms"]["p50"]
    assert {check["name"] for check in stage["checks"] if not check["holds"]} >= {"requests"}
    assert code == 1, "forty are not proof"
    page = (tmp_path / "out/made.html").read_text(encoding="utf-8")
    assert "rows scored a second" in page


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rate"), [("digit", 20), ("query", 4)])
def test_pictures_are_answered_and_each_answer_is_looked_at(
    kind: str, rate: int, tmp_path: Path
) -> None:
    shapes = shapes_file(
        tmp_path, mix=f"{kind} = 1", limits=f"{kind}_test", rate=rate, seconds=2, timeout=30
    )
    code, output = load(tmp_path, shapes, "--workers", "1")
    (stage,) = written(tmp_path)["stages"]
    assert stage["failures"] == {}, output
    assert stage["sent"] == stage["planned"] == 2 * rate
    assert {check["name"] for check in stage["checks"] if not check["holds"]} >= {"requests"}
    assert code == 1, "so few are not proof"


@pytest.mark.slow
def test_jobs_that_nobody_does_are_lost(tmp_path: Path) -> None:
    """Two generators: each follows its own jobs, among those of the other."""
    shapes = shapes_file(tmp_path, **JOBS, seconds=2, job_seconds=1)
    with web_serving(tmp_path / "web") as web:
        stopped = [web.job_worker(), *web.job_worker().children()]
        for process in stopped:
            process.suspend()
        try:
            arguments = ("--url", web.url, "--processes", "2")
            code, output = load(tmp_path, shapes, *arguments, LOADGEN_API_KEY=KEY)
        finally:
            for process in stopped:
                process.resume()
    (stage,) = written(tmp_path)["stages"]
    assert stage["sent"] == 20
    assert stage["failures"] == {LOST: 20}, output
    assert (stage["jobs"]["accepted"], stage["jobs"]["lost"]) == (20, 20)
    assert code == 1


@pytest.mark.slow
def test_the_generator_has_metrics_while_it_runs(tmp_path: Path) -> None:
    port = free_port()
    shapes = shapes_file(tmp_path, seconds=4)
    with double() as url:
        arguments = ("--shape", "made", "--shapes", str(shapes), "--out", str(tmp_path / "out"))
        with subprocess.Popen(
            command(*arguments, "--url", url, "--metrics-port", str(port)),
            cwd=ROOT, env=environment(LOADGEN_API_KEY="k"), stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                eventually(lambda: achieved(port) > 50, "more than 50 right replies a second")
                page = scraped(port)
            finally:
                process.wait(60)
    assert "loadgen_target_requests_per_second 100.0" in page
    assert 'loadgen_client_latency_seconds_bucket{le="+Inf"}' in page
    assert 'loadgen_failures_total{reason="none"} 0.0' in page
    assert "loadgen_lateness_seconds" in page


def scraped(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
            return str(reply.read().decode())
    except OSError:
        return ""


def achieved(port: int) -> float:
    name = "loadgen_achieved_requests_per_second "
    lines = [line for line in scraped(port).splitlines() if line.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0.0


@pytest.mark.slow
def test_a_worker_without_a_key_has_the_master_s(tmp_path: Path) -> None:
    """It may stand in a file that only the master has."""
    (tmp_path / "key").write_text("of-the-file\n")
    address = {"host": "127.0.0.1", "port": str(free_port()), "api_keys": "a:of-the-file"}
    port = str(free_port())
    files = ("--shapes", str(shapes_file(tmp_path, seconds=2, rate=20)), "--out",
             str(tmp_path / "out"))  # fmt: skip
    with serving(tmp_path / "served", **address) as server:
        master = locust("--master", "--master-bind-port", port, "--expect-workers", "1",
                        "--headless", "-H", server.url, *files, LOADGEN_API_KEY="",
                        LOADGEN_API_KEY_FILE=str(tmp_path / "key"))  # fmt: skip
        worker = locust("--worker", "--master-port", port, *files, LOADGEN_API_KEY="")
        with master, worker:
            output, _ = master.communicate(timeout=60)
            worker.wait(20)
    (stage,) = written(tmp_path)["stages"]
    assert stage["failures"] == {}, output
    assert stage["sent"] == 40


@pytest.mark.slow
def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    address = {"host": "127.0.0.1", "port": str(free_port()), "api_keys": "a:of-the-file"}
    with serving(tmp_path / "served", **address) as server:
        shapes = shapes_file(tmp_path, seconds=2, rate=20, limits="objective")
        given = {"LOADGEN_API_KEY_FILE": str(tmp_path / "key")}
        _, output = load(tmp_path, shapes, "--url", server.url, **given)
    (stage,) = written(tmp_path)["stages"]
    assert stage["failures"] == {}, output
    assert stage["sent"] == 40
