"""The engine and the system, each started once."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack import engine as engines
from tests.stack import stand_ins
from tests.stack.engine import Engine
from tests.stack.system import ALL, PROJECT, System, configuration
from tests.support.paths import ROOT

_REQUIRED = "STACK_REQUIRED"
_SIZES = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine of our own. Where none can be had, tests are skipped, or fail if required."""
    reason = engines.missing()
    if reason and os.environ.get(_REQUIRED) == "1":  # noqa: TID251 - CI's word
        pytest.fail(f"{_REQUIRED}=1, but there is no Docker engine: {reason}")
    if reason:
        pytest.skip(f"no Docker engine: {reason}")
    with engines.running() as running:
        yield running


@pytest.fixture(scope="session")
def system(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[System]:
    """The system without load and jobs, up and healthy. Nothing of it must stay in the engine."""
    made = configuration(ROOT / ".env.example", *ALL)["services"]
    system = System(engine, tmp_path_factory.mktemp("stack"))
    make_images(system, made)
    try:
        system.must("up", "--detach", "--wait", "--wait-timeout", "120")
        yield system
        form = ("--format", "{{.Repository}}: {{.Size}}")
        pytestconfig.stash[_SIZES] = engine.docker("images", *form, "plate-scoring*")
    finally:
        log = system.compose(*ALL, "logs", "--no-color").stdout
        down = system.compose(*ALL, "down", "--volumes", "--timeout", "20")
        (ROOT / "build/stack.log").write_text(log)
    assert down.returncode == 0, down.stderr
    for kind in ("container", "volume", "network"):
        flags = ("--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
        assert engine.docker(kind, "ls", *flags, *(["--all"] * (kind == "container"))) == "", kind


def make_images(system: System, services: dict[str, Any]) -> None:
    """Build all images that the services need; those of servers wait for the network meanwhile."""
    others = {one["image"] for one in services.values() if "plate-scoring" not in one["image"]}
    ours = {one["image"]: name for name, one in services.items() if "build" in one}
    stand_ins.make_base(system.engine)
    with ThreadPoolExecutor() as pool:
        servers = pool.submit(stand_ins.make_servers, system.engine, others)
        # One after the other: in parallel, the engine's builder makes their shared stages several
        # times, and finds other ones of them in its cache later.
        for name in ours.values():
            system.must(*ALL, "build", name)
        servers.result()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """How large our images are."""
    terminalreporter.write(config.stash.get(_SIZES, ""))
