"""The engine and the system, each started once."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.stack import engine as engines
from tests.stack import stand_ins
from tests.stack.engine import Engine
from tests.stack.system import PROJECT, System, configuration
from tests.support.paths import ROOT

_REQUIRED = "STACK_REQUIRED"


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
    """The system without load, up and healthy. Nothing of it must stay in the engine."""
    made = configuration(ROOT / ".env.example", "--profile", "load")["services"]
    stand_ins.make(engine, {one["image"] for one in made.values() if not is_ours(one["image"])})
    system = System(engine, tmp_path_factory.mktemp("stack"))
    build(system, sorted({name for name, one in made.items() if "build" in one}))
    try:
        system.must("up", "--detach", "--wait", "--wait-timeout", "120")
        yield system
        tell_sizes(engine, pytestconfig)
    finally:
        log = system.compose("logs", "--no-color").stdout
        down = system.compose("--profile", "load", "down", "--volumes", "--timeout", "20")
        (ROOT / "build/stack.log").write_text(log)
    assert down.returncode == 0, down.stderr
    for kind in ("container", "volume", "network"):
        flags = ("--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
        assert engine.docker(kind, "ls", *flags, *(["--all"] * (kind == "container"))) == "", kind


def is_ours(image: str) -> bool:
    """Whether an image is built here."""
    return image.startswith("plate-scoring")


def build(system: System, services: list[str]) -> None:
    """Build the images side by side: each waits for the network most of the time."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: system.must("--profile", "load", "build", name), services))


def tell_sizes(engine: Engine, config: pytest.Config) -> None:
    """How large our images are, on the terminal."""
    images = engine.docker("images", "--format", "{{.Repository}}: {{.Size}}", "plate-scoring*")
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    assert terminal
    terminal.write_line("\n" + images.strip())
