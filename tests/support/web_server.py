"""The real web processes as an operator starts them: `python -m service.web` by itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from loadgen.common import processes
from loadgen.common.processes import free_port
from tests.support.paths import ROOT
from tests.support.server import KEY_HEADER, METRICS_TOKEN, eventually


class WebServer(processes.Program):
    """Running web processes with their own folders; jobs stay in `jobs` when it is started again.

    Without broker and records in the settings it is the embedded form.
    """

    def __init__(self, folder: Path, python_path: str = str(ROOT), **settings: str) -> None:
        self.folder = folder
        self.jobs = folder / "jobs"
        self.port = int(settings.get("web_port", "0")) or free_port()
        run = folder / f"run-{self.port}"
        run.mkdir(parents=True)
        usual = {
            "web_port": str(self.port),
            "jobs_dir": str(self.jobs),
            "metrics_token": METRICS_TOKEN,
            "api_keys": "example:123321,other:of-another",
        }
        named = {f"SCORING_{k.upper()}": value for k, value in {**usual, **settings}.items()}
        self.is_embedded = "SCORING_BROKER" not in named
        self.settings = named
        self._out, self._err = run / "stdout", run / "stderr"
        super().__init__(
            [sys.executable, "-m", "service.web"],
            run,
            self._out,
            {"TMPDIR": str(run), "PYTHONPATH": python_path, **named},
            errors=self._err,
        )

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """A client with the key; close it."""
        named = {**KEY_HEADER, **{name.replace("_", "-"): text for name, text in headers.items()}}
        return httpx.Client(base_url=self.url, headers=named, timeout=60)

    def wait_ready(self, *, worker: bool = True) -> None:
        """Wait until /readyz is 200 and, in the embedded form, the job worker has begun."""
        self.wait_until(self._is_ready)
        if worker and self.is_embedded:
            eventually(lambda: '"Job worker (' in self.output(), "the job worker has begun")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:  # not listening yet
            return False

    def is_alive(self) -> bool:
        """Whether /healthz is 200."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:  # not listening yet
            return False

    def job_worker(self) -> psutil.Process:
        """The parent process of the job worker."""
        children = psutil.Process(self.process.pid).children()
        (found,) = (one for one in children if "service.jobs" in one.cmdline())
        return found

    def output(self) -> str:
        """Its stdout so far."""
        return self._out.read_text()

    def errors(self) -> str:
        """Its stderr so far."""
        return self._err.read_text()


@contextmanager
def working_for(server: WebServer) -> Iterator[processes.Program]:
    """A job worker of the distributed form, started by itself. It must stop with 0 at the end."""
    run = server.folder / f"worker-{server.port}"
    run.mkdir()
    settings = {"TMPDIR": str(run), "PYTHONPATH": str(ROOT), **server.settings}
    command = [sys.executable, "-m", "service.jobs", "worker"]
    worker = processes.Program(command, run, run / "output", settings)
    try:
        yield worker
        assert worker.stop() == 0, (run / "output").read_text()
    finally:
        worker.close()


@contextmanager
def web_serving(folder: Path, **settings: Any) -> Iterator[WebServer]:
    """Ready web processes; each setting may be given. They must stop with 0 at the end."""
    server = WebServer(folder, **settings)
    try:
        server.wait_ready()
        yield server
        assert server.stop() == 0, server.errors() + server.output()
        assert server.errors() == ""
    finally:
        server.close()
