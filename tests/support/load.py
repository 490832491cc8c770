"""Whole load tests for tests: shapes, a double of the service, the commands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadgen.common import client, processes
from loadgen.common.open_loop import Job, Stream, streaming
from loadgen.common.processes import free_port, responds, running
from loadgen.common.schedule import Level
from tests.support.paths import ROOT
from tests.support.server import KEY
from tests.support.strategies import VALID

GENERATOR = """
[generator]
max_lateness_p99_ms = {late}
max_cpu = 0.95
timeout_seconds = {timeout}
job_seconds = {job_seconds}
[mix]
{mix}
[shape.{name}]
about = "for a test"
limits = "{limits}"
connections = {connections}
stages = [{{ seconds = 1, from = 10, rate = {rate} }},
          {{ seconds = {seconds}, rate = {rate}, judged = true }}]
"""


def shapes_file(folder: Path, **values: Any) -> Path:
    # Only one test is about lateness; in the others the machine may stand still.
    usual = {
        "name": "made", "mix": "single = 1", "limits": "load_test", "connections": 64,
        "rate": 100, "seconds": 4, "late": 60_000, "timeout": 3, "job_seconds": 20,
    }  # fmt: skip
    path = folder / "shapes.toml"
    path.write_text(GENERATOR.format(**{**usual, **values}), encoding="utf-8")
    return path


@contextmanager
def double(every: float = 10, stall: float = 0) -> Iterator[str]:
    """The address of a service that stalls for `stall` of each `every` seconds."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    line = [sys.executable, "-m", "tests.support.stalling", str(port), str(every), str(stall)]
    with (
        TemporaryDirectory(prefix="double-") as folder,
        running(line, Path(folder) / "log", lambda: responds(url)),
    ):
        yield url


@contextmanager
def flooding(  # noqa: PLR0913 - what a load is described by
    port: int,
    rate: float,
    connections: int,
    *,
    seconds: float = 600,
    body: bytes = VALID,
    kept: bool = True,
) -> Iterator[Stream]:
    """A stream of POST /reg/ to a port of 127.0.0.1, for so long or until it is stopped."""
    request = client.raw("POST", "/reg/", KEY, body)
    job = Job(port, [Level(ceil(seconds), rate)], connections, [request], kept)
    with streaming(job) as stream:
        yield stream


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "loadgen.load", *arguments]


def environment(**more: str) -> dict[str, str]:
    return processes.environment(more)


def load(folder: Path, shapes: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Run a load test to its end: exit code and output."""
    ours = ("--shape", "made", "--shapes", str(shapes), "--out", str(folder / "out"))
    finished = subprocess.run(
        command(*ours, *arguments), cwd=ROOT, env=environment(**more), timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return finished.returncode, finished.stdout + finished.stderr


def written(folder: Path) -> Any:
    return json.loads((folder / "out/made.json").read_text(encoding="utf-8"))


def locust(*arguments: str, **more: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "locust", "-f", "loadgen/locustfile.py", "--shape", "made"]
    return subprocess.Popen(
        [*line, "--loglevel", "ERROR", *arguments], cwd=ROOT, text=True,
        env=environment(**{"LOADGEN_API_KEY": "k", **more}), stdout=subprocess.PIPE,
    )  # fmt: skip
