"""What the tests of the server share: it runs on plain asyncio as on uvloop."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from model.regno import RegnoScorer
from service.config.settings import Settings
from tests.support.connections import Client, Connect, connected
from tests.support.parts import Served, SiteMaker, serve


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The event loops that it may run on."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def make_site(settings: Settings, scorer: RegnoScorer) -> SiteMaker:
    """Makes the public site of a warm app; each setting can be given, and another scorer."""

    def make(scorer: RegnoScorer = scorer, **changed: Any) -> Served:
        values = {name: getattr(settings, name) for name in settings.__struct_fields__}
        return serve(Settings(**{**values, **changed}), scorer)

    return make


@pytest.fixture
def served(make_site: SiteMaker) -> Served:
    """The public site with default settings and the bundled model."""
    return make_site()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens connections to a site, until the end of the test."""
    async with AsyncExitStack() as stack:

        async def connect(served: Served) -> Client:
            return await stack.enter_async_context(connected(served.site))

        yield connect
