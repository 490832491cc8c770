"""An edge before the real service, and one before an upstream that shows what it got."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.echo import Echo, echoing
from tests.support.edge import Edge, edge_before
from tests.support.live import started
from tests.support.server import Server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    with started(folder, host="127.0.0.1", port=str(free_port()), workers="1") as server:
        yield server


@pytest.fixture(scope="module")
def edge(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with edge_before(tmp_path_factory.mktemp("edge"), service.port) as edge:
        yield edge


@pytest.fixture
def echo() -> Iterator[Echo]:
    with echoing() as echo:
        yield echo


@pytest.fixture
def bare(echo: Echo, tmp_path: Path) -> Iterator[Edge]:
    """An edge before an upstream that shows what it got."""
    with edge_before(tmp_path / "edge", echo.port) as edge:
        yield edge
