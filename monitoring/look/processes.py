"""Programs that run beside this one, from their start to their certain end."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from monitoring.look.errors import CannotLook

_PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 15.0


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str], folder: Path, ready: str, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a folder of its own, once its address `ready` answers; stopped at the end.

    `settings` are added to its environment. Raises CannotLook with the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    process = _start(command, folder, log, settings or {})
    try:
        _wait(process, ready, log)
        yield process
    finally:
        _stop(process)


def _start(
    command: Sequence[str], folder: Path, log: Path, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        with log.open("wb") as out:
            return subprocess.Popen(  # noqa: S603 - the programs of the scene
                command,
                cwd=folder,
                env=_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # one process group, so that none outlives this
            )
    except FileNotFoundError as error:
        name = command[0]
        raise CannotLook(f"{name} is not installed (Debian: apt-get install {name})") from error


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's own, without settings of a service or a load that somebody runs by hand."""
    inherited = os.environ  # noqa: TID251 - to clean it
    foreign = ("SCORING_", "LOADGEN_", "LOCUST_")
    kept = {name: value for name, value in inherited.items() if not name.startswith(foreign)}
    return {**kept, **settings}


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _answers(ready):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:]
            raise CannotLook(f"{ready} does not answer. {process.args!r} says:\n{said}")
        time.sleep(_POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - http on loopback
            return bool(reply.status == 200)
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
