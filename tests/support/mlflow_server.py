"""A real MLflow server, in its own environment: its pins are not those of the project.

The environment is made once, in build/, of the locked packages. That takes a minute and 900 MB.
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

from loadgen.common.processes import free_port, running
from tests.support.paths import ROOT

_LOCK: Final = ROOT / "tests/support/mlflow-server.lock"
_PLACE: Final = ROOT / "build/mlflow-server"
_SETTINGS: Final = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def _program() -> Path:
    """The command of the environment, which is made if it is missing or of another lock."""
    _PLACE.parent.mkdir(exist_ok=True)
    digest, stamp = sha256(_LOCK.read_bytes()).hexdigest(), _PLACE / "made-of"
    with (_PLACE.parent / "mlflow-server.making").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest:
            shutil.rmtree(_PLACE, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", _PLACE], check=True)
            locked = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", _LOCK)
            # Not compiled: the server compiles the few modules that it imports.
            install = (_PLACE / "bin/pip", "install", "--quiet", "--no-compile", *locked)
            subprocess.run(install, check=True, capture_output=True)
            stamp.write_text(digest)
    return _PLACE / "bin/mlflow"


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
