"""What the tests of the server share: it runs on plain asyncio as on uvloop."""

from typing import Any

import pytest


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The event loops that it may run on."""
    return "asyncio", {"use_uvloop": request.param}
