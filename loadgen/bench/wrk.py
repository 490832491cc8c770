"""The load by wrk: a closed loop of keep-alive connections in one thread.

wrk adds the samples that a waiting connection could not take, so that a stall shows in the
percentiles (its correction of coordinated omission).
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from loadgen.common.errors import CannotStart
from loadgen.common.service import KEY

_SCRIPT: Final = Path(__file__).with_name("post.lua")
# Longer than the slowest target needs with the longest queue: slow is not an error.
_TIMEOUT_SECONDS: Final = 60


class Load(NamedTuple):
    """The result of one run of wrk; `errors` are rejected, broken and late requests."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


def require() -> None:
    """Raise CannotStart when wrk is not installed."""
    if shutil.which("wrk") is None:
        raise CannotStart("wrk is not installed (Debian: apt-get install wrk)")


def write_bodies(bodies: Iterable[bytes], path: Path) -> Path:
    """The file for wrk's script, with one body on each line."""
    path.write_bytes(b"".join(body + b"\n" for body in bodies))
    return path


def run(port: int, bodies: Path, connections: int, seconds: int) -> Load:
    """Load POST /reg/ on 127.0.0.1 for some seconds with the bodies of a file in turn."""
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--timeout", f"{_TIMEOUT_SECONDS}s"),
        *("--script", str(_SCRIPT), f"http://127.0.0.1:{port}/reg/", "--", str(bodies), KEY),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotStart(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def parse(output: str) -> Load:
    """The result in wrk's output: the last line, which the script writes."""
    report = json.loads(output.splitlines()[-1])
    return Load(
        requests=report["requests"],
        seconds=report["duration_us"] / 1e6,
        p50_ms=report["p50_us"] / 1e3,
        p99_ms=report["p99_us"] / 1e3,
        errors=report["statuses"] + report["sockets"] + report["timeouts"],
    )
