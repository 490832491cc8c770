"""Pictures in the whole system, really run: over HTTP through the edge, and over AMQP."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Final

import pytest

from client.amqp import AmqpClient
from tests.stack.system import System
from tests.support.paths import ROOT
from tests.support.server import eventually

pytestmark = pytest.mark.stack

_SERVERS: Final = ("web-images", "amqp-images", "amqp-worker", "job-worker", "rabbitmq", "redis")
_FIVE: Final = (ROOT / "docs/pictures/five.png").read_bytes()


@pytest.fixture(scope="module")
def images(system: System) -> Iterator[System]:
    """The system with pictures, as docs/operating.md starts them."""
    with system.as_said("Pictures in the stack"):
        yield system


def test_all_of_it_is_up_and_healthy(images: System) -> None:
    containers = images.containers()
    states = {name: containers[name]["State"]["Health"]["Status"] for name in _SERVERS}
    assert set(states.values()) == {"healthy"}


def test_a_digit_is_read_through_the_edge_and_its_picture_is_kept(images: System) -> None:
    headers = {"x-api-key": images.key("client")}
    with images.edge() as edge:
        reply = edge.post("/v1/inference", files={"file_name": _FIVE}, headers=headers)
        assert reply.json()["prediction"] == 5
        kept = edge.get(reply.json()["img_url"], headers=headers)
    assert kept.content.startswith(b"\x89PNG")


def test_a_digit_is_read_over_amqp_by_the_workers_of_pictures(images: System) -> None:
    control = ("exec", "--no-TTY", "rabbitmq", "rabbitmqctl", "--quiet")
    images.must(*control, "add_user", "scanner", "a-password")
    images.must(*control, "set_permissions", "-p", "scoring", "scanner", "", "^scoring$", "")
    url = f"amqp://scanner:a-password@127.0.0.1:{images.ports['amqp']}/scoring"
    body = json.dumps({"image": b64encode(_FIVE).decode()}).encode()
    with AmqpClient(url) as client:
        reply = client.call("digits", body, timeout=30)
    assert json.loads(reply.body)["body"]["prediction"] == 5
    consumers = images.must(*control, "-p", "scoring", "list_queues", "name", "consumers")
    counts = dict(line.split() for line in consumers.splitlines() if line.startswith("score."))
    assert set(counts) == {"score.regno", "score.digits", "score.cat", "score.dog"}
    assert counts["score.digits"] == "1"


def test_they_are_scraped(images: System) -> None:
    up = 'up{job="jobs"} == 1'
    eventually(lambda: len(images.prometheus(up)) == 4, "all of them are scraped", seconds=90)


@pytest.mark.parametrize("name", ["web-images", "amqp-images"])
def test_no_container_runs_as_root_or_can_write(name: str, images: System) -> None:
    shell = ("exec", "--no-TTY", name, "sh", "-c")
    assert int(images.must(*shell, "id -u")) > 0
    assert "Read-only file system" in images.compose(*shell, "touch /tmp/../x").stderr
