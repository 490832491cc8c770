"""A real MLflow server, in its own environment: its pins are not those of the project.

The environment is made once for each lock, in the user's cache: half a minute and 400 MB.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx

from loadgen.common.processes import environment, free_port, running
from tests.support.paths import ROOT

_LOCK: Final = ROOT / "tests/support/mlflow-server.lock"
_CACHE: Final = Path.home() / ".cache/plate-scoring-tests"
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # A queue of evaluation jobs, which is two more processes.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Else every process compiles the server's 2,000 modules again, where this is set.
    "PYTHONDONTWRITEBYTECODE": "",
}


def _program() -> Path:
    """The command of the environment, which is made if it is missing."""
    place = _CACHE / f"mlflow-{sha256(_LOCK.read_bytes()).hexdigest()[:16]}"
    made = place / "made"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(place, ignore_errors=True)
            _make(place)
            made.touch()
    return place / "bin/mlflow"


def _make(place: Path) -> None:
    python = place / "bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
    locked = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", _LOCK)
    for command in (
        (sys.executable, "-m", "venv", "--without-pip", place),
        (*pip, *locked),
        # Compiles what the server imports: a third of what is installed.
        (python, "-c", "import mlflow.server.fastapi_app"),
    ):
        subprocess.run(command, check=True, capture_output=True, env=environment(_SETTINGS))


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """The address of a server that keeps all in a folder."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = (
        *(str(_program()), "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/runs.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    )
    with running(command, folder / "mlflow.log", lambda: _answers(url), _SETTINGS):
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False
