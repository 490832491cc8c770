"""Models of pictures in processes of their own, over HTTP and AMQP, with the real servers."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.amqp import AmqpClient
from model.imagenet import BUNDLED
from tests.support.amqp import answering
from tests.support.commands import run_module
from tests.support.paths import ROOT
from tests.support.pictures import bomb
from tests.support.rabbitmq import RabbitMQ
from tests.support.server import Server, serving
from tests.support.swapping import registry_of_twins

pytestmark = pytest.mark.slow

_PHOTOS = ROOT / "tests" / "support" / "photos"
_MODELS = {"extra_models": "imagenet,cat,dog", "max_body": "12000000"}


def _body(name: str, **fields: str) -> dict[str, str]:
    return {"image": b64encode((_PHOTOS / name).read_bytes()).decode(), **fields}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of all models of photos, each with the bundled file."""
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


def test_a_routing_key_of_each_query(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    vhost = rabbitmq.url(rabbitmq.add_vhost())
    settings = {"extra_models": "cat,dog", "max_body": "12000000"}
    with answering(tmp_path, vhost, **settings), AmqpClient(vhost) as client:
        picture = json.dumps(_body("cat.jpg")).encode()
        for model, answer in (("cat", True), ("dog", False)):
            reply = client.call(model, picture)
            assert reply.status == 200
            assert json.loads(reply.body)["body"]["answer"] is answer
        assert client.call("cat", b'{"image": "odd"}').status == 400
