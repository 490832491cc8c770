"""The targets of the benchmark, and how each is started."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from loadgen.common import processes, service, usage
from loadgen.common.errors import CannotStart
from loadgen.common.service import KEY, Server

_BASELINES: Final = "loadgen.bench.baselines"
_LIMITS: Final = "loadgen.bench.limits"


class Setup(Protocol):
    """The parameters of a target."""

    @property
    def model(self) -> Path:
        """The .cbm file, an absolute path."""

    @property
    def workers(self) -> int:
        """Worker processes."""

    @property
    def env(self) -> dict[str, str]:
        """Further environment variables of the service."""


class Target(NamedTuple):
    """A server to measure: `needs` are the modules it imports, `scores` whether it predicts.

    `command` and `settings` (environment variables) are given the port to listen on, on 127.0.0.1.
    """

    name: str
    needs: tuple[str, ...]
    command: Callable[[int, Setup], list[str]]
    settings: Callable[[int, Setup], dict[str, str]] = lambda _port, _setup: {}
    scores: bool = True

    def require(self) -> None:
        """Raise CannotStart, which names the missing modules, unless all are installed."""
        missing = [module for module in self.needs if find_spec(module) is None]
        if missing:
            raise CannotStart(f"{self.name} needs what is not installed: {', '.join(missing)}")


def _service(_port: int, _setup: Setup) -> list[str]:
    return [*service.COMMAND]


def _service_settings(port: int, setup: Setup) -> dict[str, str]:
    return {**service.settings(port, setup.model, setup.workers), **setup.env}


def _unobserved_settings(port: int, setup: Setup) -> dict[str, str]:
    # Without a token no metrics are kept; access lines have the levels info and warning.
    return {
        **_service_settings(port, setup),
        "SCORING_METRICS_TOKEN": "",
        "SCORING_LOG_LEVEL": "error",
    }


def _floor(port: int, setup: Setup) -> list[str]:
    arguments = str(setup.model), KEY, str(port), str(setup.workers)
    return [sys.executable, "-m", f"{_LIMITS}.floor", *arguments]


def _static(port: int, setup: Setup) -> list[str]:
    return [sys.executable, "-m", f"{_LIMITS}.static", KEY, str(port), str(setup.workers)]


def _uvicorn(app: str, port: int, setup: Setup) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", app),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(setup.workers)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        *("--log-level", "warning", "--timeout-keep-alive", "75"),
    ]


def _asgi(port: int, setup: Setup) -> list[str]:
    return _uvicorn(f"{_LIMITS}.asgi:app", port, setup)


def _asgi_settings(_port: int, setup: Setup) -> dict[str, str]:
    return {"LIMIT_MODEL": str(setup.model), "LIMIT_KEY": KEY}


def _fastapi(port: int, setup: Setup) -> list[str]:
    return _uvicorn(f"{_BASELINES}.fastapi_app:app", port, setup)


def _fastapi_settings(_port: int, setup: Setup) -> dict[str, str]:
    return {"BASELINE_MODEL": str(setup.model), "BASELINE_KEY": KEY}


def _prototype(port: int, setup: Setup) -> list[str]:
    app = f"{_BASELINES}.prototype:create_app({KEY!r}, {str(setup.model)!r})"
    return [
        *(sys.executable, "-m", "gunicorn", app, "--no-control-socket"),
        *("--bind", f"127.0.0.1:{port}", "--workers", str(setup.workers)),
    ]


_FLOOR_NEEDS: Final = ("uvloop", "httptools", "catboost")
_ASGI_NEEDS: Final = ("uvicorn", *_FLOOR_NEEDS)
_FASTAPI_NEEDS: Final = ("fastapi", "pydantic", *_ASGI_NEEDS)
TARGETS: Final = {
    target.name: target
    for target in (
        Target("service", ("gunicorn", "catboost"), _service, _service_settings),
        Target("unobserved", ("gunicorn", "catboost"), _service, _unobserved_settings),
        Target("floor", _FLOOR_NEEDS, _floor),
        Target("asgi", _ASGI_NEEDS, _asgi, _asgi_settings),
        Target("nginx", (), _static, scores=False),
        Target("fastapi", _FASTAPI_NEEDS, _fastapi, _fastapi_settings),
        Target("prototype", ("gunicorn", "flask", "catboost", "pandas"), _prototype),
    )
}


@contextmanager
def running(target: Target, setup: Setup, folder: Path, body: bytes) -> Iterator[Server]:
    """A target that scores `body` and is idle; its log is in `folder`. Raises CannotStart."""
    port = processes.free_port()
    with processes.running(
        target.command(port, setup),
        folder / f"{target.name}.log",
        lambda: service.scores(port, body),
        target.settings(port, setup),
    ) as process:
        usage.settle(process.pid)
        yield Server(target.name, port, process.pid)
