"""The master of the web processes, and the processes that it keeps running beside them.

These are the job worker of the embedded form, and picture processes if the extra is installed.
"""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Final

from service.images.client import is_installed
from service.images.messages import listen
from service.jobs.stores import is_embedded
from service.process.master import Master
from service.runtime import runtime
from service.runtime.restarts import Restarts
from service.telemetry.failures import contained
from service.telemetry.metrics import multiprocess

_WORKER: Final = (sys.executable, "-m", "service.jobs", "worker")
_PICTURES: Final = (sys.executable, "-m", "service.images")
_PR_SET_PDEATHSIG: Final = 1

log = logging.getLogger("scoring")


class WebMaster(Master):
    """Keeps the web processes running, and others that belong to them."""

    def __init__(self, app: Any) -> None:
        self._children: list[ChildProcess] = []
        if is_embedded(runtime().settings):
            self._children.append(ChildProcess("the job worker", _WORKER))
        if is_installed():
            self._children += _picture_processes(runtime().settings.images_workers)
        super().__init__(app)

    def served(self) -> str:
        """What this server serves, in words."""
        pictures = " and pictures" if is_installed() else ""
        if is_embedded(runtime().settings):
            return f"jobs (embedded: records in SQLite, one job worker beside){pictures}"
        return f"jobs (distributed: job workers are started by themselves){pictures}"

    def manage_workers(self) -> None:
        """Start what is missing, and stop what is surplus or outdated."""
        super().manage_workers()
        for child in self._children:
            child.keep_running()

    def other_child_ended(self, pid: int, code: int) -> None:
        """Note the end of another process, to start it again."""
        for child in self._children:
            child.ended(pid, code)

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002 - gunicorn's signature
        """Stop all processes for good; those that the web processes need, after these."""
        until = monotonic() + (self.cfg.graceful_timeout if graceful else 0.0)
        for child in self._children:
            if not child.serves:
                child.begin_stop()
        super().stop(graceful)
        for child in self._children:
            if child.serves:  # requests in flight have waited for it
                child.begin_stop()
        for child in self._children:
            child.wait(until)


class ChildProcess:
    """A process that is started again whenever it ends, later and later if it keeps ending."""

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        listening: socket.socket | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """It gets the socket, if there is one. `ended` is called whenever it has ended."""
        self._name = name
        self._listening = listening
        self._after = ended
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = Restarts()
        self._is_stopping = False

    @property
    def serves(self) -> bool:
        """Whether it works for requests that the web processes have in flight."""
        return self._listening is not None

    def keep_running(self) -> None:
        """Start the process if it does not run, unless a restart has to wait."""
        if self._process is not None or self._is_stopping or self._restarts.pause:
            return
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command
                self._command,
                stdin=subprocess.DEVNULL,
                pass_fds=[self._listening.fileno()] if self._listening else [],
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - the master has one thread
            )
        except OSError as error:
            self._restarts.fork_failed()
            log.error("%s can't be started: %s", self._title, error.strerror)  # noqa: TRY400
            return
        log.info("Starting %s (pid: %d)", self._name, self._process.pid)

    def ended(self, pid: int, code: int) -> None:
        """Note that a child of the master has ended; `code` is negative for a signal."""
        if self._process is None or pid != self._process.pid:
            return
        self._process.returncode = code
        self._process = None
        self._after()
        if self._is_stopping:
            return
        self._restarts.died(1)
        log.error(
            "%s ended with %s; the next starts in %.1f s",
            self._title,
            f"exit code {code}" if code >= 0 else f"signal {-code}",
            self._restarts.pause,
        )

    @property
    def _title(self) -> str:
        return self._name[:1].upper() + self._name[1:]

    def begin_stop(self) -> None:
        """Send TERM."""
        self._is_stopping = True
        if self._process is not None:
            _send(self._process.pid, signal.SIGTERM)

    def wait(self, until: float) -> None:
        """Wait for its end; kill it at a time of `monotonic`."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(max(0.0, until - monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in time and is killed", self._title)
            _send(process.pid, signal.SIGKILL)
            process.wait()


def _picture_processes(number: int) -> Iterator[ChildProcess]:
    """So many picture processes, which share a socket."""
    folder = runtime().run_folder.path
    listening = listen(folder)
    for place in (f"pictures-{count}" for count in range(number)):
        command = (*_PICTURES, str(folder), place, str(listening.fileno()))
        forget = partial(contained, "gauges", multiprocess.clear_live_gauges, place, folder)
        yield ChildProcess(f"picture process {place}", command, listening, forget)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it


def _end_with_parent() -> None:
    """In the new process: get TERM when the master dies, however it dies."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
