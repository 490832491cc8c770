"""The real server as an operator starts it: `python -m service` in its own process."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from loadgen.common import processes
from tests.support.commands import Done, prefixed, run_module
from tests.support.messages import mentions
from tests.support.paths import ROOT

KEY: Final = "123321"
METRICS_TOKEN: Final = "token-of-the-tests"
KEY_HEADER: Final = {"x-api-key": KEY}
_TIMEOUT: Final = 60.0
_POLL_SECONDS: Final = 0.02


def eventually(holds: Callable[[], bool], what: str, seconds: float = _TIMEOUT) -> None:
    """Return as soon as a condition holds; fail, with its name, if it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(_POLL_SECONDS)


class Server(processes.Program):
    """A running server with its own working folder, away from any `.env`."""

    def __init__(  # noqa: PLR0913 - what a server is started with
        self,
        folder: Path,
        settings: Mapping[str, str],
        arguments: tuple[str, ...] = (),
        *,
        dotenv: str = "",
        through: tuple[str, ...] = (),
        output: int | None = None,
    ) -> None:
        """`arguments` are gunicorn's; `through` is a command that limits rights or resources.

        `output` is a descriptor for stdout in place of the file that `output()` reads.
        """
        self.folder = folder / "run"
        self.folder.mkdir(parents=True)
        if dotenv:
            (self.folder / ".env").write_text(dotenv)
        self.socket = self.folder / "s"
        self.port = int(settings.get("SCORING_PORT", "0"))
        usual = {"HOST": f"unix:{self.socket}", "WORKERS": "2", "METRICS_TOKEN": METRICS_TOKEN}
        self.settings = {**{f"SCORING_{name}": value for name, value in usual.items()}, **settings}
        self._out, self._err = folder / "stdout", folder / "stderr"
        after = ("--", *arguments) if arguments else ()
        super().__init__(
            [*through, sys.executable, "-m", "service", *after],
            self.folder,
            self._out if output is None else output,
            {"TMPDIR": str(self.folder), **self.settings},
            errors=self._err,
        )

    @property
    def url(self) -> str:
        """The base address for clients of `client`."""
        return f"http://127.0.0.1:{self.port}" if self.port else "http://scoring"

    def client(self, **headers: str) -> httpx.Client:
        """A client with the key; close it."""
        # verify=False: there is no TLS here, and loading certificates would take most of the time.
        uds = None if self.port else str(self.socket)
        transport = httpx.HTTPTransport(uds=uds, verify=False)
        named = {**KEY_HEADER, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return httpx.Client(transport=transport, base_url=self.url, headers=named, timeout=30)

    def connect(self) -> socket.socket:
        """A raw connection, for bytes that no HTTP client sends; close it."""
        connection = socket.socket(socket.AF_INET if self.port else socket.AF_UNIX)
        connection.settimeout(20)
        try:
            connection.connect(("127.0.0.1", self.port) if self.port else str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def wait_ready(self) -> None:
        """Wait until /readyz returns 200 and all workers run."""
        self.wait_until(self._is_ready)
        wanted = int(self.settings["SCORING_WORKERS"])
        eventually(lambda: len(self.pids()) == wanted, "all workers run")

    def _is_ready(self) -> bool:
        try:
            self.connect().close()
        except OSError:  # not listening yet
            return False
        with self.client() as client:
            return client.get("/readyz").status_code == 200

    def workers(self) -> list[psutil.Process]:
        """The worker processes, oldest first."""
        return sorted(psutil.Process(self.process.pid).children(), key=lambda p: p.pid)

    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self.workers()]

    def metrics_folders(self) -> set[Path]:
        """The folders with the metrics of the workers."""
        opened = [Path(file.path) for w in self.workers() for file in w.open_files()]
        return {path.parent for path in opened if path.parent.name.startswith("scoring-metrics-")}

    def output(self) -> str:
        """Its stdout so far."""
        return self._out.read_text()

    def errors(self) -> str:
        """Its stderr so far."""
        return self._err.read_text()

    def log(self) -> list[dict[str, Any]]:
        """Its log so far; a line that is not JSON fails."""
        return [json.loads(line) for line in self.output().splitlines()]

    def messages(self, *facts: str) -> list[str]:
        """The messages of its log so far that state each fact."""
        messages = (line.get("message", "") for line in self.log())
        return [message for message in messages if mentions(message, *facts)]

    def stop_cleanly(self) -> None:
        """Send TERM; it must exit with 0 and leave no process, file or socket."""
        workers, metrics = self.workers(), self.metrics_folders()
        code = self.stop()  # first: a failed assertion must not leave a server behind
        assert workers, "no workers were running"
        assert metrics, "no worker had opened its metrics"
        assert code == 0, self.errors() + self.output()
        assert not [worker for worker in workers if worker.is_running()]
        assert not [folder for folder in metrics if folder.exists()]
        assert list(self.folder.iterdir()) == []
        assert self.errors() == ""


@contextmanager
def serving(
    folder: Path, *arguments: str, python_path: str = str(ROOT), **settings: str
) -> Iterator[Server]:
    """A ready server on a Unix socket (or `SCORING_PORT` of loopback), stopped cleanly at the end.

    `arguments` are gunicorn's; `settings` are variables without their prefix. With
    another `python_path` further models may be installed.
    """
    named = prefixed("SCORING", settings)
    server = Server(folder, {**named, "PYTHONPATH": python_path}, arguments)
    try:
        server.wait_ready()
        yield server
        server.stop_cleanly()
    finally:
        server.close()


def refused(folder: Path, *arguments: str, **settings: str) -> Done:
    """Run a server that must end before it serves."""
    after = ("--", *arguments) if arguments else ()
    return run_module(folder, "service", *after, settings=prefixed("SCORING", settings))
