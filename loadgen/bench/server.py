"""A target's processes, from their start to their certain end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from loadgen.bench import client, usage
from loadgen.bench.errors import CannotStart
from loadgen.bench.options import ROOT, Options
from loadgen.bench.targets import KEY, Target

_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 60.0
# The processor clock ticks a hundred times a second: less than two ticks is idle.
_IDLE_WINDOW: Final = 0.25
_IDLE_CPU_SECONDS: Final = 0.02


class Server(NamedTuple):
    """A running target: `port` on 127.0.0.1, `pid` of the root of its processes."""

    name: str
    port: int
    pid: int


@contextmanager
def running(target: Target, options: Options, folder: Path, body: bytes) -> Iterator[Server]:
    """A target that answers `body`; its log is in `folder`. Stopped whatever happens.

    Raises CannotStart with the end of its log.
    """
    port = free_port()
    log = folder / f"{target.name}.log"
    with log.open("ab") as out:
        process = _spawn(target, port, options, folder, out)
    try:
        _wait(lambda: _answers(process, port, body), process, target, log)
        settle(process.pid)
        yield Server(target.name, port, process.pid)
    finally:
        _stop(process)


def settle(pid: int) -> None:
    """Wait until the processes are idle: started up, and done with what was asked of them."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    before = usage.cpu_total(pid)
    while time.monotonic() < deadline:
        time.sleep(_IDLE_WINDOW)
        now = usage.cpu_total(pid)
        if now - before < _IDLE_CPU_SECONDS:
            return
        before = now
    raise CannotStart(f"The target was not idle within {_SETTLE_SECONDS:.0f} s")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _spawn(
    target: Target, port: int, options: Options, folder: Path, out: IO[bytes]
) -> subprocess.Popen[bytes]:
    # The caller's own settings of the service, and a .env beside the code, must not take
    # part in the measurement: hence the filter and the folder.
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251
        if not name.startswith("SCORING_")
    }
    return subprocess.Popen(
        target.command(port, options),
        env={**inherited, "PYTHONPATH": str(ROOT), **target.environment(port, options)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # one process group, so that none outlives the run
    )


def _answers(process: subprocess.Popen[bytes], port: int, body: bytes) -> bool:
    if process.poll() is not None:
        raise CannotStart(f"it ended with code {process.returncode}")
    try:
        return client.post(port, body, KEY).status == 200
    except OSError:
        return False


def _wait(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], target: Target, log: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    try:
        while not ready():
            if time.monotonic() > deadline:
                raise CannotStart(f"it did not answer within {_START_SECONDS:.0f} s")  # noqa: TRY301
            time.sleep(_POLL_SECONDS)
    except CannotStart as reason:
        command = " ".join(map(str, process.args))  # type: ignore[arg-type]
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise CannotStart(f"{target.name} can't start: {reason}\n{command}\n{tail}") from None


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
