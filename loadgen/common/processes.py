"""Programs that measurements and tests start: a free port, readiness, output, and a certain end.

`running` is for a program that others talk to. `Program` is for one that is itself examined.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from random import randrange
from types import MappingProxyType
from typing import Any, Final

from loadgen.common.errors import CannotStart
from loadgen.common.options import ROOT

_POLL_SECONDS: Final = 0.02
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_LOG_LINES: Final = 40
# Below the ports that the kernel gives to clients. Processes that are started one after the other,
# as those of pytest-xdist are, take theirs from different ranges.
_PORTS: Final = range(10_000 + 2_000 * (os.getpid() % 10), 12_000 + 2_000 * (os.getpid() % 10))
_FIRST: Final = randrange(len(_PORTS))  # noqa: S311 - no secret
_next_ports: Final[Iterator[int]] = cycle((*_PORTS[_FIRST:], *_PORTS[:_FIRST]))
# Settings of the operator's own processes must not reach the started one.
_FOREIGN: Final = ("SCORING_", "EDGE_", "LOADGEN_", "LOCUST_")


def free_port() -> int:
    """A TCP port of 127.0.0.1 without a listener, which no other call returns soon."""
    while True:
        port = next(_next_ports)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(settings: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """This process's environment with the given settings and no others of this project."""
    inherited = os.environ  # noqa: TID251 - to clean it
    kept = {name: value for name, value in inherited.items() if not name.startswith(_FOREIGN)}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def responds(url: str) -> bool:
    """Whether GET of an address on this machine returns 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - http on loopback
            return bool(reply.status == 200)
    except OSError:
        return False


class Program:
    """A started program in a process group of its own; `process` is the group's first process."""

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        output: Path | int,
        settings: Mapping[str, str] = MappingProxyType({}),
        *,
        errors: Path | int = subprocess.STDOUT,
        **rights: Any,
    ) -> None:
        """Start it in a working folder, which is best away from any `.env`.

        `output` and `errors` are files that are appended to, or descriptors as of subprocess;
        `rights` are Popen's arguments `user`, `group`, `extra_groups` and `pass_fds`.
        Raises CannotStart if there is no such program.
        """
        self._files = [path for path in (output, errors) if isinstance(path, Path)]
        with ExitStack() as opened:
            out, err = (
                opened.enter_context(at.open("ab")) if isinstance(at, Path) else at
                for at in (output, errors)
            )
            try:
                self.process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment(settings),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,  # one process group, so that none outlives the run
                    **rights,
                )
            except FileNotFoundError as error:
                raise CannotStart(f"{command[0]} is not installed") from error

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready` is true. Raises CannotStart, with the end of its output."""
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if (code := self.process.poll()) is not None:
                raise CannotStart(f"It ended with code {code}: {self._tail()}")
            if time.monotonic() > deadline:
                raise CannotStart(f"It was not ready in {_START_SECONDS:.0f} s: {self._tail()}")
            time.sleep(_POLL_SECONDS)

    def _tail(self) -> str:
        command = " ".join(map(str, self.process.args))  # type: ignore[arg-type]
        texts = [path.read_text(errors="replace").splitlines() for path in self._files]
        return "\n".join([command, *(line for text in texts for line in text[-_LOG_LINES:])])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code. A program that does not end is killed with its group."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()

    def kill(self) -> None:
        """Kill what is left of the group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Stop it, and kill what it leaves of its group."""
        self.stop()
        self.kill()


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    ready: Callable[[], bool],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program, once `ready` is true; stopped at the end, with all processes of its group.

    Its working folder is the log's. Raises CannotStart with the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    program = Program(command, log.parent, log, settings)
    try:
        program.wait_until(ready)
        yield program.process
    finally:
        program.close()
