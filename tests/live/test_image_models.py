"""Models of pictures in processes of their own, over HTTP and AMQP, with the real servers."""

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from client.amqp import AmqpClient
from model.imagenet import BUNDLED
from tests.support.amqp import AmqpServer, answering
from tests.support.commands import run_module
from tests.support.paths import ROOT
from tests.support.pictures import bomb, file_of, five
from tests.support.rabbitmq import RabbitMQ
from tests.support.server import Server, eventually, serving
from tests.support.swapping import registry_of_twins

pytestmark = pytest.mark.slow

_PHOTOS = ROOT / "tests" / "support" / "photos"
_MODELS = {"extra_models": "digits,imagenet,cat,dog", "max_body": "12000000"}


def _body(name: str, **fields: str) -> dict[str, str]:
    return {"image": b64encode((_PHOTOS / name).read_bytes()).decode(), **fields}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of all models of pictures, each with the bundled file."""
    with serving(tmp_path_factory.mktemp("images"), workers="1", **_MODELS) as server:
        yield server


def test_each_model_answers_its_own_query(server: Server) -> None:
    with server.client() as client:
        cat = client.post("/cat/", json=_body("cat.jpg"))
        dog = client.post("/dog/", json=_body("cat.jpg"))
        any_query = client.post("/imagenet/", json=[_body("coffee.jpg", query="cat?"), {}])
    assert cat.status_code == dog.status_code == 200
    assert cat.json()["body"]["answer"] is True
    assert dog.json()["body"]["answer"] is False
    assert dog.headers["X-Model-Version"] == "efficientnet-lite0-half"
    answer, fault = any_query.json()["body"]
    assert (answer["answer"], answer["top"][0]["label"]) == (False, "espresso")
    assert list(fault) == ["error"]


def test_a_query_has_versions_of_its_own(tmp_path: Path) -> None:
    registry_of_twins(tmp_path)
    named = ("--models", tmp_path / "models", "--name", "cat")
    for step in (("add", BUNDLED, "--version", "second"), ("promote", "second")):
        done = run_module(tmp_path, "model.registry", *step, *named)
        assert done.returncode == 0, done.stderr
    settings = {**_MODELS, "registry": str(tmp_path / "models"), "extra_models": "cat"}
    folder = tmp_path / "server"
    folder.mkdir()
    with serving(folder, workers="1", **settings) as server, server.client() as client:
        cat = client.post("/cat/", json=_body("cat.jpg"))
        assert cat.headers["X-Model-Version"] == "second"
        assert cat.json()["body"]["answer"] is True
        assert client.post("/dog/", json=_body("cat.jpg")).status_code == 404


def test_a_bomb_is_refused_and_the_worker_lives(server: Server) -> None:
    with server.client() as client:
        refused = client.post("/cat/", json={"image": b64encode(bomb()).decode()})
        assert refused.status_code == 400
        assert "pixels" in refused.json()["body"]
        assert client.post("/cat/", json=_body("cat.jpg")).status_code == 200


def test_its_schemas_are_in_the_document(server: Server) -> None:
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert {"/cat/", "/dog/", "/imagenet/"} <= set(paths)


@pytest.fixture(scope="module")
def vhost(rabbitmq: RabbitMQ) -> str:
    """The address of a virtual host of this module's own."""
    return rabbitmq.url(rabbitmq.add_vhost())


@pytest.fixture(scope="module")
def digits(vhost: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmqpServer]:
    """The workers of digits over AMQP."""
    models = {"extra_models": "digits", "amqp_models": "digits"}
    with answering(tmp_path_factory.mktemp("digits"), vhost, **models) as workers:
        yield workers


@pytest.fixture(scope="module")
def photos(vhost: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmqpServer]:
    """Those of cats and dogs."""
    models = {"extra_models": "cat,dog", "amqp_models": "cat, dog", "max_body": "12000000"}
    with answering(tmp_path_factory.mktemp("photos"), vhost, **models) as workers:
        yield workers


_FIVE = {"image": b64encode(file_of(five(), "PNG")).decode()}
_NO_PICTURE = {"image": b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()}


@pytest.mark.parametrize(
    ("model", "body", "status"),
    [
        pytest.param("digits", _FIVE, 200, id="a digit"),
        pytest.param("cat", _body("cat.jpg"), 200, id="a cat"),
        pytest.param("dog", _body("cat.jpg"), 200, id="no dog"),
        pytest.param("dog", [_body("coffee.jpg"), {}], 200, id="an array"),
        pytest.param("cat", _body("cat.jpg", query="dog?"), 400, id="another model's query"),
        pytest.param("digits", {"image": "odd"}, 400, id="no base64"),
        pytest.param("digits", _NO_PICTURE, 400, id="SVG"),
        pytest.param("cat", {"image": b64encode(bomb()).decode()}, 400, id="a bomb"),
    ],
)
@pytest.mark.usefixtures("digits", "photos")
def test_a_reply_over_amqp_is_that_of_http(
    vhost: str, server: Server, model: str, body: Any, status: int
) -> None:
    with server.client() as client:
        expected = client.post(f"/{model}/", json=body)
    with AmqpClient(vhost) as caller:
        reply = caller.call(model, json.dumps(body).encode(), timeout=20)
    assert (reply.status, reply.body) == (expected.status_code, expected.content)
    assert reply.status == status


def test_each_process_takes_the_requests_of_its_models_alone(
    vhost: str, digits: AmqpServer, photos: AmqpServer
) -> None:
    """Nothing takes plates here: that is not a queue, and is not counted."""

    def answered(status: str, route: str) -> list[float | None]:
        counts = "scoring_amqp_requests_total"
        return [each.value(counts, route=route, status=status) for each in (digits, photos)]

    before = answered("200", "score.digits")[0] or 0
    unroutable = sum(filter(None, answered("404", "unmatched")))
    with AmqpClient(vhost) as caller:
        assert caller.call("digits", json.dumps(_FIVE).encode(), timeout=20).status == 200
        assert caller.call("regno", b"{}", timeout=20).status == 404
    eventually(lambda: answered("200", "score.digits") == [before + 1, None], "it is counted")
    eventually(
        lambda: sum(filter(None, answered("404", "unmatched"))) == unroutable + 1,
        "the other one is counted as unroutable",
    )


def test_models_that_are_not_served_stop_the_start(tmp_path: Path) -> None:
    broker = {"SCORING_BROKER": "amqp://127.0.0.1", "SCORING_AMQP_MODELS": "digits,regno"}
    started = AmqpServer(tmp_path, broker)
    with closing(started):
        assert started.process.wait(60) == os.EX_CONFIG
    assert "SCORING_AMQP_MODELS: these are not served: digits\n" in started.output()
