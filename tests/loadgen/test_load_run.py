"""Whole runs: Locust with its processes, against a service or a double that misbehaves."""

import json
import os
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.server import eventually, free_port, serving

GENERATOR = """
[generator]
max_lateness_p99_ms = {late}
max_cpu = 0.95
timeout_seconds = {timeout}
[mix]
{mix}
[shape.{name}]
about = "for a test"
limits = "{limits}"
connections = {connections}
stages = [{{ seconds = 2, from = 10, rate = {rate} }},
          {{ seconds = {seconds}, rate = {rate}, judged = true }}]
"""


def shapes_file(folder: Path, **values: Any) -> Path:
    # Lateness is not what these tests are of, and their machine may be busy: hence the 100 ms.
    usual = {
        "name": "made", "mix": "single = 1", "limits": "load_test", "connections": 64,
        "rate": 100, "seconds": 12, "late": 100, "timeout": 3,
    }  # fmt: skip
    path = folder / "shapes.toml"
    path.write_text(GENERATOR.format(**{**usual, **values}), encoding="utf-8")
    return path


@contextmanager
def double(every: float = 10, stall: float = 0) -> Iterator[str]:
    """The address of a service that stands still for `stall` of each `every` seconds."""
    port = free_port()
    arguments = [str(port), str(every), str(stall)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.stalling", *arguments], cwd=ROOT
    ) as process:
        try:
            eventually(lambda: answers(port), "the double listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "loadgen.load", *arguments]


def environment(**more: str) -> dict[str, str]:
    inherited = os.environ  # noqa: TID251 - to clean it
    kept = {k: v for k, v in inherited.items() if not k.startswith(("LOADGEN_", "LOCUST_"))}
    return {**kept, **more}


def load(folder: Path, shapes: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Run it to its end: exit code, and what it said."""
    ours = ("--shape", "made", "--shapes", str(shapes), "--out", str(folder / "out"))
    finished = subprocess.run(
        command(*ours, *arguments), cwd=ROOT, env=environment(**more), timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return finished.returncode, finished.stdout + finished.stderr


def written(folder: Path) -> Any:
    return json.loads((folder / "out/made.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_service_that_stands_still_is_found_out(tmp_path: Path) -> None:
    """A closed loop would have sent nothing meanwhile, and seen one slow request a user."""
    with double(every=10, stall=1) as url:
        shapes = shapes_file(tmp_path, seconds=20)
        code, said = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
    (stage,) = written(tmp_path)["stages"]
    assert code == 1, said
    assert stage["sent"] == stage["planned"] == 2000
    assert stage["latency_ms"]["p99"] >= 500
    assert {check["name"] for check in stage["checks"] if not check["holds"]} >= {"p99, ms"}


@pytest.mark.slow
def test_two_workers_share_one_timetable(tmp_path: Path) -> None:
    with double() as url:
        arguments = ("--url", url, "--processes", "2")
        code, said = load(tmp_path, shapes_file(tmp_path), *arguments, LOADGEN_API_KEY="k")
    content = written(tmp_path)
    (stage,) = content["stages"]
    assert content["about"]["generators"] == 2, said
    assert stage["sent"] == stage["planned"] == 1200
    assert stage["failures"] == {}
    assert code in {0, 1}, said  # how quick the double is on a busy machine is not the question


@pytest.mark.slow
def test_generators_by_hand_do_as_the_master_says(tmp_path: Path) -> None:
    """Its shape is what counts, the time to wait for a reply too; the worker's own file differs."""
    port = str(free_port())
    shapes = shapes_file(tmp_path, seconds=8, timeout=1)
    (tmp_path / "other").mkdir()
    others = shapes_file(tmp_path / "other", rate=1, timeout=60)
    with double(every=4, stall=2) as url:
        master = locust("--master", "--master-bind-port", port, "--expect-workers", "1",
                        "--headless", "-H", url, "--shapes", str(shapes),
                        "--out", str(tmp_path / "out"))  # fmt: skip
        worker = locust("--worker", "--master-port", port, "--shapes", str(others))
        with master, worker:
            said, _ = master.communicate(timeout=60)
            worker.wait(20)
    (stage,) = written(tmp_path)["stages"]
    assert master.returncode == 1, said
    assert stage["planned"] == 800
    assert set(stage["failures"]) == {"single: TimeoutError"}, said


def locust(*arguments: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "locust", "-f", "loadgen/locustfile.py", "--shape", "made"]
    return subprocess.Popen(
        [*line, "--loglevel", "ERROR", *arguments], cwd=ROOT, text=True,
        env=environment(LOADGEN_API_KEY="k"), stdout=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_a_service_that_refuses_everything_breaks(tmp_path: Path) -> None:
    with double() as url:
        shapes = shapes_file(tmp_path, mix="wrong_key = 1", seconds=3)
        code, said = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
    (stage,) = written(tmp_path)["stages"]
    assert code == 1, said
    assert stage["failures"] == {"wrong_key: status 200, not 401": 300}
    assert stage["right"] == 0


@pytest.mark.slow
def test_nobody_at_the_address_breaks(tmp_path: Path) -> None:
    shapes = shapes_file(tmp_path, seconds=2)
    url = f"http://127.0.0.1:{free_port()}"
    code, said = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
    assert code == 1, said
    assert "single: ConnectionRefusedError" in said


class HalfReplies(socketserver.StreamRequestHandler):
    """Sends a head and a first byte, and hangs up."""

    def handle(self) -> None:
        length = 0
        for line in iter(self.rfile.readline, b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


@pytest.mark.slow
def test_half_a_reply_is_a_failure_like_any_other(tmp_path: Path) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HalfReplies) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            shapes = shapes_file(tmp_path, seconds=2, rate=20)
            code, said = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY="k")
        finally:
            server.shutdown()
            thread.join()
    (stage,) = written(tmp_path)["stages"]
    assert code == 1, said
    assert sum(stage["failures"].values()) == stage["sent"] == 40
    assert all(reason.startswith("single: ") for reason in stage["failures"]), said


@pytest.mark.slow
def test_the_real_service_gives_all_right_replies_to_every_kind(tmp_path: Path) -> None:
    mix = "single = 80\narray = 10\nbad = 5\nwrong_key = 5"
    code, said = load(tmp_path, shapes_file(tmp_path, mix=mix, limits="objective"))
    content = written(tmp_path)
    (stage,) = content["stages"]
    assert stage["failures"] == {}, said
    assert stage["sent"] == stage["planned"] == 1200
    assert content["golden_rows"] > 50
    assert code in {0, 1}, said
    page = (tmp_path / "out/made.html").read_text(encoding="utf-8")
    assert content["outcome"] in page
    assert "<svg" in page


@pytest.mark.slow
def test_the_generator_tells_its_metrics_while_it_runs(tmp_path: Path) -> None:
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
    found = [line for line in scraped(port).splitlines() if line.startswith(name)]
    return float(found[0].removeprefix(name)) if found else 0.0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--shape", "rampe"), "no shape 'rampe', but smoke"),
        (("--shape", "smoke", "--rows", "/none.csv"), "none.csv"),
    ],
)
def test_what_is_missing_is_named_before_anything_starts(
    arguments: tuple[str, ...], reason: str
) -> None:
    finished = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 2
    assert reason in finished.stderr


def test_without_a_key_nothing_is_sent(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, said = load(tmp_path, shapes_file(tmp_path), "--url", url)
    assert code == 2
    assert "LOADGEN_API_KEY" in said


@pytest.mark.parametrize("content", [None, "", "two keys", "ключ"])
def test_a_file_without_a_key_is_named(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    url = f"http://127.0.0.1:{free_port()}"
    shapes = shapes_file(tmp_path)
    code, said = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY_FILE=str(file))
    assert code == 2
    assert said.startswith(f"Not started. LOADGEN_API_KEY_FILE: {file} ")


@pytest.mark.slow
def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    address = {"host": "127.0.0.1", "port": str(free_port()), "api_keys": "a:of-the-file"}
    with serving(tmp_path / "served", **address) as server:
        shapes = shapes_file(tmp_path, seconds=2, rate=20, limits="objective")
        given = {"LOADGEN_API_KEY_FILE": str(tmp_path / "key")}
        _, said = load(tmp_path, shapes, "--url", server.url, **given)
    (stage,) = written(tmp_path)["stages"]
    assert stage["failures"] == {}, said
    assert stage["right"] == 40
