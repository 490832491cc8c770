from collections.abc import Iterator

import pytest

from tests.simulation import server


@pytest.fixture(autouse=True, scope="package")
def _simulated() -> Iterator[None]:
    with server.simulated():
        yield
