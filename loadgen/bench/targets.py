"""What is measured: how each target is started."""

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from loadgen.bench.errors import CannotStart

KEY_NAME: Final = "bench"
KEY: Final = "key-of-the-benchmark"
METRICS_TOKEN: Final = "token-of-the-benchmark"  # noqa: S105 - of servers that live for seconds
_PACKAGE: Final = "loadgen.bench.rivals"
# gunicorn's own way to serve several clients at once in a worker; else the service's settings.
_THREADED: Final = (
    *("--worker-class", "gthread", "--threads", "8", "--keep-alive", "75"),
    *("--graceful-timeout", "30", "--preload", "--no-control-socket"),
)


class Setup(Protocol):
    """What a target needs to know."""

    @property
    def model(self) -> Path:
        """The .cbm file, an absolute path."""

    @property
    def workers(self) -> int:
        """Worker processes."""

    @property
    def env(self) -> dict[str, str]:
        """More environment for the service."""


class Target(NamedTuple):
    """A server to measure: `needs` are the modules it imports, `scores` whether it predicts.

    `command` and `environment` are given the port to listen on, on 127.0.0.1.
    """

    name: str
    needs: tuple[str, ...]
    command: Callable[[int, Setup], list[str]]
    environment: Callable[[int, Setup], dict[str, str]] = lambda _port, _setup: {}
    scores: bool = True

    def require(self) -> None:
        """Raise CannotStart, naming every module that is not installed."""
        missing = [module for module in self.needs if find_spec(module) is None]
        if missing:
            raise CannotStart(f"{self.name} needs what is not installed: {', '.join(missing)}")


def _gunicorn(app: str, port: int, setup: Setup, *flags: str) -> list[str]:
    bind = f"127.0.0.1:{port}"
    return [
        *(sys.executable, "-m", "gunicorn", f"{_PACKAGE}.{app}"),
        *("--bind", bind, "--workers", str(setup.workers), *flags),
    ]


def _service(_port: int, _setup: Setup) -> list[str]:
    return [sys.executable, "-m", "service"]


def _service_environment(port: int, setup: Setup) -> dict[str, str]:
    return {
        "SCORING_HOST": "127.0.0.1",
        "SCORING_PORT": str(port),
        "SCORING_WORKERS": str(setup.workers),
        "SCORING_MODEL": str(setup.model),
        "SCORING_API_KEYS": f"{KEY_NAME}:{KEY}",
        "SCORING_METRICS_TOKEN": METRICS_TOKEN,
        **setup.env,
    }


def _unobserved_environment(port: int, setup: Setup) -> dict[str, str]:
    # Without a place to read metrics none are kept; access lines are of level info and warning.
    nothing = {"SCORING_METRICS_TOKEN": "", "SCORING_LOG_LEVEL": "error"}
    return {**_service_environment(port, setup), **nothing}


def _empty(port: int, setup: Setup) -> list[str]:
    memory = Path("/dev/shm")  # noqa: S108 - where the service's heartbeats are too
    tmp = ("--worker-tmp-dir", str(memory)) if os.access(memory, os.W_OK) else ()
    return _gunicorn(f"empty:create_app({KEY!r})", port, setup, *_THREADED, *tmp)


def _fastapi(port: int, setup: Setup) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", f"{_PACKAGE}.fastapi_app:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(setup.workers)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        *("--log-level", "warning", "--timeout-keep-alive", "75"),
    ]


def _fastapi_environment(_port: int, setup: Setup) -> dict[str, str]:
    return {"RIVAL_MODEL": str(setup.model), "RIVAL_KEY": KEY}


def _prototype(port: int, setup: Setup) -> list[str]:
    app = f"prototype:create_app({KEY!r}, {str(setup.model)!r})"
    return _gunicorn(app, port, setup, "--no-control-socket")


_FASTAPI_NEEDS: Final = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "catboost")
TARGETS: Final = {
    target.name: target
    for target in (
        Target("service", ("gunicorn", "catboost"), _service, _service_environment),
        Target("unobserved", ("gunicorn", "catboost"), _service, _unobserved_environment),
        Target("empty", ("gunicorn", "flask"), _empty, scores=False),
        Target("fastapi", _FASTAPI_NEEDS, _fastapi, _fastapi_environment),
        Target("prototype", ("gunicorn", "flask", "catboost", "pandas"), _prototype),
    )
}
