"""What /model refuses before anything is changed, and what it never repeats."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from model.regno import BUNDLED
from tests.support.messages import failure, mentions, states
from tests.support.parts import AppMaker
from tests.support.swapping import registry_of_twins

_KEY = "AliceKey-0123456789abcdef"
_TOKEN = "token-of-the-tests"
_BOSS = {"x-api-key": "boss-key"}


@pytest.fixture
def client(make_app: AppMaker, tmp_path: Path) -> FlaskClient:
    registry_of_twins(tmp_path)
    return make_app(
        api_keys=f"boss:boss-key,alice:{_KEY}",
        admins="boss",
        registry=str(tmp_path / "models"),
        metrics_token=_TOKEN,
    ).test_client()


@pytest.mark.parametrize("path", ["/model/promote", "/model/shadow"])
@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ({"version": _KEY}, ("version: ", "key")),
        ({"version": f"v2-{_KEY}"}, ("version: ", "key")),
        ({"version": f"v2-{_TOKEN}"}, ("version: ", "key")),
        ({"version": "v2", "note": f"for {_KEY}"}, ("note: ", "key")),
        ({"version": "v2", "note": "for А939НО196"}, ("note: ", "number plate")),
        ({"version": "A939HO196"}, ("version: ", "number plate")),
        ({"version": "v2+77-1234-ab"}, ("version: ", "number plate")),
        ({"version": "../v2"}, ("version: ", "not a name")),
        ({"version": "<b>v2</b>"}, ("version: ", "not a name")),
        ({"version": f"{_KEY} "}, ("version: ", "not a name")),
        ({"version": "live"}, ("version: ", "not a name")),
        ({"version": "v2", _KEY: 1}, ("only", "note, force, version")),
        ({"version": 2}, ("version: ", "str", "int")),
    ],
)
def test_a_clients_text_that_is_no_name_is_refused_and_not_repeated(
    path: str,
    body: dict[str, object],
    facts: tuple[str, ...],
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        reply = client.post(path, json=body, headers=_BOSS)
    assert reply.status_code == 400
    assert states(failure(reply), *facts)
    assert not re.search(f"{_KEY}|939|1234|<b>", failure(reply))
    assert _KEY not in caplog.text
    assert [change["note"] for change in _history(client)] == [""]


def _history(client: FlaskClient) -> list[dict[str, Any]]:
    reply = client.get("/model/history", headers=_BOSS)
    assert reply.status_code == 200
    assert reply.json
    history: list[dict[str, Any]] = reply.json["body"]
    return history


def test_the_versions_and_the_history_are_reported(client: FlaskClient) -> None:
    reply = client.get("/model/versions", headers=_BOSS)
    assert reply.status_code == 200
    assert reply.json
    listing = reply.json["body"]
    assert listing["generation"] == 1
    assert listing["registry"].endswith("/models/regno")
    assert [(one["version"], one["aliases"]) for one in listing["versions"]] == [
        ("first", ["live"]),
        ("second", []),
    ]
    size = BUNDLED.stat().st_size
    assert {one["bytes"] for one in listing["versions"]} == {size}
    for one in listing["versions"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["added"])
    [first] = _history(client)
    assert (first["what"], first["who"], first["forced"]) == ("promote", "the tests", "")
    assert first["aliases"] == {"live": "first", "shadow": "", "previous": "", "generation": 1}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/model"), ("GET", "/model/versions"), ("GET", "/model/history")),
        *(("POST", "/model/promote"), ("POST", "/model/rollback"), ("POST", "/model/shadow")),
    ],
)
def test_all_of_it_is_for_admins(method: str, path: str, client: FlaskClient) -> None:
    assert client.open(path, method=method).status_code == 401
    reply = client.open(path, method=method, headers={"x-api-key": _KEY})
    assert reply.status_code == 403
    assert mentions(failure(reply), "key", "admin")


@pytest.mark.parametrize("path", ["/model/versions", "/model/history"])
def test_without_a_registry_the_reply_is_409(path: str, make_app: AppMaker) -> None:
    client = make_app(api_keys="boss:boss-key", admins="boss").test_client()
    reply = client.get(path, headers=_BOSS)
    assert reply.status_code == 409
    assert mentions(failure(reply), "no registry", "SCORING_REGISTRY")


def test_a_registry_that_cant_be_read_is_a_503_without_plates(
    make_app: AppMaker, tmp_path: Path
) -> None:
    (tmp_path / "А939НО196").mkdir()
    (tmp_path / "А939НО196" / "regno").write_text("no folder")
    client = make_app(
        api_keys="boss:boss-key", admins="boss", registry=str(tmp_path / "А939НО196")
    ).test_client()
    reply = client.get("/model/history", headers=_BOSS)
    assert reply.status_code == 503
    assert reply.json
    assert mentions(failure(reply), "/[plate]/regno/aliases.json: ", "Not a directory")
