"""POST /digits/train at the real web processes, with both forms of job workers."""

from pathlib import Path
from typing import Any

import pytest

from model.registry import open_registry
from service.jobs.states import TERMINAL
from tests.support.digits import write_digits
from tests.support.server import eventually
from tests.support.swapping import registry_of_twins
from tests.support.web_server import WebServer, web_serving, working_for

pytestmark = pytest.mark.slow

_GIVEN = {"images_batch_path": "mnist.npz"}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Settings with which a key may train into a registry."""
    registry_of_twins(tmp_path)
    (tmp_path / "data").mkdir()
    write_digits(tmp_path / "data/mnist.npz")
    return {
        "trainers": "example",
        "registry": str(tmp_path / "models"),
        "digits_data": str(tmp_path / "data"),
    }


def _train(server: WebServer, prefer: str = "", **given: Any) -> Any:
    with server.client() as client:
        headers = {"Prefer": prefer} if prefer else {}
        return client.post("/digits/train", json={**_GIVEN, **given}, headers=headers)


def _ended(server: WebServer, path: str) -> Any:
    """A job once it has ended."""
    seen: list[Any] = []
    with server.client() as client:

        def has_ended() -> bool:
            seen.append(client.get(path, params={"wait": 5}).json()["body"])
            return seen[-1]["state"] in TERMINAL

        eventually(has_ended, "the training ends", 120)
    return seen[-1]


def _versions(tmp_path: Path) -> list[str]:
    registry = open_registry(str(tmp_path / "models"), "digits")
    assert registry.aliases().live == ""
    return [entry.version for entry in registry.versions()]


def test_the_job_worker_of_the_web_processes_trains(
    tmp_path: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHS", "2")
    with web_serving(tmp_path / "web", **settings) as server:
        started = _train(server)
        assert started.status_code == 202
        job = _ended(server, started.headers["Location"])
        assert (job["kind"], job["state"]) == ("train", "succeeded"), job
        assert job["progress"] == {"done": 2, "total": 2}, "epochs as in the environment"
        with server.client() as client:
            result = client.get(job["result_url"]).json()["body"]
        assert (result["version"], result["epochs"]) == (job["version"], 2)
        assert _versions(tmp_path) == [job["version"]]
        waited = _train(server, "wait=60", epochs=1)
        assert (waited.status_code, waited.json()) == (201, True)
        assert len(_versions(tmp_path)) == 2
        running = _train(server, epochs=100).headers["Location"]
        with server.client() as client:
            eventually(
                lambda: client.get(running).json()["body"]["progress"]["total"] == 100, "it trains"
            )
            assert client.delete(running).status_code == 202
        assert _ended(server, running)["state"] == "cancelled"


def test_a_worker_of_the_distributed_form_trains(
    tmp_path: Path, settings: dict[str, str], broker_url: str, records_url: str
) -> None:
    distributed = {**settings, "broker": broker_url, "records": records_url}
    with web_serving(tmp_path / "web", **distributed) as server, working_for(server):
        started = _train(server, epochs=1)
        assert started.status_code == 202
        job = _ended(server, started.headers["Location"])
        assert (job["state"], job["progress"]) == ("succeeded", {"done": 1, "total": 1}), job
        assert _versions(tmp_path) == [job["version"]]
