"""A real server reports its errors to a real receiver: once, without secrets, not too many."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadgen.common.processes import free_port
from tests.support.kent import Kent, kent
from tests.support.live import Connection, connections, started
from tests.support.planted import KEY, PLATE, POISON
from tests.support.server import Server, eventually, serving

pytestmark = pytest.mark.slow

_APP = "tests.support.breaking:app"
_TOKEN = "t0ken"
_BURST = 10


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Kent]:
    with kent(tmp_path) as receiver:
        yield receiver


@pytest.fixture
def poisoned(request_body: dict[str, Any]) -> dict[str, Any]:
    """A request that the scorer breaks on, with the plate in it."""
    return {**request_body, "regno_recognize": PLATE, "camera_class": POISON}


def _settings(dsn: str) -> dict[str, str]:
    named = {"environment": "test-bench", "release": "9.8.7"}
    return {"sentry_dsn": dsn, "api_keys": f"partner:{KEY}", "metrics_token": _TOKEN, **named}


def _counted(client: httpx.Client) -> dict[str, float]:
    page = client.get("/metrics", headers={"Authorization": f"Bearer {_TOKEN}"}).text
    return {
        sample.labels["result"]: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "scoring_error_reports_total"
    }


def test_a_500_arrives_once_with_its_place_and_none_of_its_secrets(
    tmp_path: Path, receiver: Kent, poisoned: dict[str, Any]
) -> None:
    with (
        serving(tmp_path / "server", _APP, **_settings(receiver.dsn)) as server,
        server.client(x_api_key=KEY, x_request_id="planted-1") as client,
    ):
        assert _counted(client) == {"sent": 0, "dropped": 0}
        assert client.post("/reg/", json=poisoned).status_code == 500
        eventually(lambda: len(receiver.events()) > 0, "the report arrives")
        eventually(lambda: _counted(client) == {"sent": 1, "dropped": 0}, "it is counted")
        for answered in (client.get("/"), client.get("/nowhere"), client.post("/reg/", json={})):
            assert answered.status_code < 500
    (event,) = receiver.events()
    assert event["release"] == "9.8.7"
    assert event["environment"] == "test-bench"
    assert event["transaction"] == "POST /reg"
    assert event["tags"]["request_id"] == "planted-1"
    assert event["tags"]["key"] == "partner"
    assert [error["type"] for error in event["exception"]["values"]] == [
        "ValueError",
        "RuntimeError",
    ]
    for secret in (PLATE, KEY, "no score for", POISON, socket.gethostname()):
        assert secret not in receiver.everything()
        assert secret not in server.output() + server.errors()


def test_what_breaks_outside_the_app_is_reported_too(tmp_path: Path, receiver: Kent) -> None:
    with serving(tmp_path / "server", _APP, **_settings(receiver.dsn)) as server:
        with server.client(x_api_key=KEY) as client:
            assert client.get("/outside").status_code == 500
            assert client.get("/midway").status_code == 500
            assert client.get("/stray").status_code == 200
        eventually(lambda: len(receiver.events()) == 3, "three reports arrive")
    errors = [event["exception"]["values"][-1] for event in receiver.events()]
    assert {error["type"] for error in errors} == {"RuntimeError"}
    transactions = {event["transaction"] for event in receiver.events()}
    assert transactions == {"unmatched", "GET /midway", "GET /outside"}
    for secret in (PLATE, KEY, "no score for"):
        assert secret not in receiver.everything()
        assert secret not in server.output() + server.errors()
    ids = {event["tags"]["request_id"] for event in receiver.events()}
    for request_id in ids:
        assert f"Internal error RuntimeError in request {request_id} at " in server.output()


def test_a_storm_of_errors_is_no_storm_of_reports(
    tmp_path: Path, receiver: Kent, poisoned: dict[str, Any]
) -> None:
    with (
        serving(tmp_path / "server", _APP, **_settings(receiver.dsn), workers="1") as server,
        server.client(x_api_key=KEY) as client,
    ):
        began = time.monotonic()
        for _ in range(50):
            assert client.post("/reg/", json=poisoned).status_code == 500
        allowed = _BURST + int((time.monotonic() - began) / 6)
        eventually(lambda: sum(_counted(client).values()) == 50, "all are counted")
        assert _BURST <= _counted(client)["sent"] <= allowed
        assert len(receiver.events()) == _counted(client)["sent"]


def test_what_waits_is_sent_at_the_stop(
    tmp_path: Path, receiver: Kent, poisoned: dict[str, Any]
) -> None:
    with (
        serving(tmp_path / "server", _APP, **_settings(receiver.dsn)) as server,
        server.client(x_api_key=KEY) as client,
    ):
        for _ in range(5):
            assert client.post("/reg/", json=poisoned).status_code == 500
    assert len(receiver.events()) == 5


def test_a_silent_receiver_delays_neither_replies_nor_the_stop(
    tmp_path: Path, poisoned: dict[str, Any]
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):  # takes connections and is silent
        # One worker: that it answers means that it has booted, and takes signals.
        settings = {**_settings(f"http://public@127.0.0.1:{port}/1"), "workers": "1"}
        with started(tmp_path, _APP, **settings) as server:
            with server.client(x_api_key=KEY) as client:
                assert client.post("/reg/", json=poisoned).status_code == 500
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began > 1.9


def test_a_receiver_that_is_not_there_is_counted(tmp_path: Path, poisoned: dict[str, Any]) -> None:
    settings = _settings(f"http://public@127.0.0.1:{free_port()}/1")
    with serving(tmp_path, _APP, **settings) as server, server.client(x_api_key=KEY) as client:
        assert client.post("/reg/", json=poisoned).status_code == 500
        eventually(lambda: _counted(client) == {"sent": 0, "dropped": 1}, "it is counted")


def test_a_worker_that_takes_the_place_of_a_lost_one_reports_too(
    tmp_path: Path, receiver: Kent, poisoned: dict[str, Any]
) -> None:
    settings = {**_settings(receiver.dsn), "workers": "1"}
    with serving(tmp_path / "server", _APP, **settings) as server:
        (lost,) = server.workers()
        lost.kill()
        eventually(lambda: _served_by_another(server, lost.pid), "another worker serves")
        with server.client(x_api_key=KEY) as client:
            assert client.post("/reg/", json=poisoned).status_code == 500
        eventually(lambda: len(receiver.events()) == 1, "the report arrives")


def _served_by_another(server: Server, lost: int) -> bool:
    if lost in server.pids():
        return False
    with connections(server, 1), closing(Connection(server)) as connection:
        return connection.ask("GET", "/readyz").status == 200
