"""The ladder of fixtures: settings → scorer → app → client → the live server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings

from model.regno import RegnoScorer
from service.app import create_app
from service.config.settings import Settings, load
from tests.support.parts import AppMaker, make_parts
from tests.support.paths import ROOT, lines
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis_server import RedisServer
from tests.support.server import KEY_HEADER, Server, serving
from tests.support.strategies import VALID

# The same examples on every machine: a red run can be run again.
hypothesis_settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, print_blob=True
)
# For a search of new ones: pytest --hypothesis-profile=search
hypothesis_settings.register_profile("search", max_examples=2000, deadline=None)
hypothesis_settings.load_profile("repeatable")


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of tests that are coroutines; those of the server run on others too."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("SCORING_")]:  # noqa: TID251 - to clean it
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, whatever .env the checkout has."""
    return load({}, tmp_path / "none.env")


@pytest.fixture(scope="session")
def scorer() -> RegnoScorer:
    """The bundled model's."""
    return RegnoScorer.load()


@pytest.fixture
def make_app(settings: Settings, scorer: RegnoScorer) -> AppMaker:
    """Makes a warm app; each setting can be given, and another scorer."""

    def make(scorer: RegnoScorer = scorer, *, metrics_kept: bool = True, **changed: Any) -> Flask:
        values = {name: getattr(settings, name) for name in settings.__struct_fields__}
        chosen = Settings(**{**values, **changed})
        parts = make_parts(chosen, scorer, metrics_kept=metrics_kept)
        app = create_app(parts).flask
        app.extensions["parts"] = parts
        return app

    return make


@pytest.fixture
def app(make_app: AppMaker) -> Flask:
    """The app with default settings and the bundled model."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client that sends no key of itself."""
    return app.test_client()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server: bundled model, two workers, a Unix socket. It must end cleanly."""
    with serving(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture
def http(live: Server) -> Iterator[httpx.Client]:
    """A client of the live server, with the key."""
    with live.client() as client:
        yield client


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """The real broker. A test that stops it, or raises its alarm, leaves it running as it was."""
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture
def broker_url(rabbitmq: RabbitMQ) -> str:
    """The address of a virtual host of the test's own."""
    return rabbitmq.url(rabbitmq.add_vhost())


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The real Redis. A test that stops it leaves it running as it was."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def records_url(redis: RedisServer) -> str:
    """The address of the Redis, emptied."""
    redis.clear()
    return redis.url


@pytest.fixture
def request_body() -> dict[str, Any]:
    """One valid request that has no warning; the test may change it."""
    body: dict[str, Any] = json.loads(VALID)
    return body


@pytest.fixture
def key() -> dict[str, str]:
    """The header with a key that default settings accept."""
    return dict(KEY_HEADER)


@pytest.fixture(scope="session")
def customer() -> Path:
    """The customer's files, which stay where they are."""
    shared = ROOT.parent / "shared"
    if not list(shared.glob("customer/*.cbm")):
        pytest.skip("the customer's files are not next to this checkout")
    return shared


@pytest.fixture(scope="session")
def customer_model(customer: Path) -> Path:
    """The customer's model file."""
    (path,) = customer.glob("customer/*.cbm")
    return path


@pytest.fixture(scope="session")
def customer_scorer(customer_model: Path) -> RegnoScorer:
    """The customer's model's."""
    return RegnoScorer.load(customer_model)


@pytest.fixture(scope="session")
def conformance(customer: Path) -> list[dict[str, Any]]:
    """Requests with the features and scores that the customer's own function gives."""
    files = sorted((customer / "conformance").glob("*.jsonl"))
    assert len(files) == 2
    return [line for file in files for line in lines(file)]
