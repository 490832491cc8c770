"""Programs that a measurement starts: readiness, log, and a certain end."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from loadgen.common.errors import CannotStart
from loadgen.common.options import ROOT

_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_LOG_LINES: Final = 15
# Settings of the operator's own processes must not reach the started one.
_FOREIGN: Final = ("SCORING_", "EDGE_", "LOADGEN_", "LOCUST_")


def free_port() -> int:
    """A TCP port of 127.0.0.1 without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
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


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program, once `ready` is true; stopped at the end, with all processes of its group.

    Its working folder is the log's, away from any `.env`. Raises CannotStart with the end of the
    log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    process = _start(command, log, settings)
    try:
        _wait(process, ready, log)
        yield process
    finally:
        _stop(process)


def _start(
    command: Sequence[str], log: Path, settings: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    try:
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                env=environment(settings),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # one process group, so that none outlives the run
            )
    except FileNotFoundError as error:
        raise CannotStart(f"{command[0]} is not installed") from error


def _wait(process: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None:
            raise CannotStart(f"It ended with code {process.returncode}: {_tail(process, log)}")
        if time.monotonic() > deadline:
            raise CannotStart(f"It was not ready in {_START_SECONDS:.0f} s: {_tail(process, log)}")
        time.sleep(_POLL_SECONDS)


def _tail(process: "subprocess.Popen[bytes]", log: Path) -> str:
    command = " ".join(map(str, process.args))  # type: ignore[arg-type]
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([command, *lines])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
