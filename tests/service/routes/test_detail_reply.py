"""POST /reg/?detail=1: the plain score, with its details."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from model.regno import RegnoScorer
from service.routes.openapi import document
from tests.support.parts import AppMaker
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER
from tests.support.strategies import requests

Body = dict[str, Any]
ADDED = ["decision", "margin", "warnings", "model"]


def _post(client: FlaskClient, body: object, query: str = "?detail=1") -> TestResponse:
    return client.post(f"/reg/{query}", json=body, headers=KEY_HEADER)


def _plain(detail: Body) -> Body:
    return {name: value for name, value in detail.items() if name not in ADDED}


def _of(client: FlaskClient, body: Body) -> Body:
    reply = _post(client, body)
    assert reply.status_code == 200
    details: Body = reply.json["body"]  # type: ignore[index]
    return details


@pytest.fixture
def known(request_body: Body) -> Body:
    return {**request_body, "camera_class": "Стрелка", "camera_type": "Передвижная"}


def test_a_detail_is_the_plain_score_and_more(
    client: FlaskClient, scorer: RegnoScorer, known: Body
) -> None:
    plain = _post(client, known, "")
    detail = _of(client, known)
    assert plain.json
    assert list(detail) == ["negative", "positive", *ADDED]
    assert _plain(detail) == plain.json["body"]
    assert detail["model"] == scorer.version == plain.headers["X-Model-Version"]
    assert detail["warnings"] == []


@pytest.mark.parametrize("query", ["", "?", "?detail=0", "?other=1", "?Detail=1"])
def test_the_plain_reply_stays_as_it_is_to_the_byte(
    query: str, client: FlaskClient, known: Body
) -> None:
    reply = _post(client, known, query)
    assert reply.json
    score = reply.json["body"]
    text = json.dumps(score, separators=(",", ":"))
    assert reply.data.decode() == f'{{"body":{text},"status":"ok"}}'
    assert list(score) == ["negative", "positive"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        *(
            (f"?detail={value}", "must be 0 or 1")
            for value in ("2", "", "true", "01", "-1", "%31%30")
        ),
        ("?detail", "must be 0 or 1"),
        ("?detail=%ff", "must be 0 or 1"),
        ("?detail=1&detail=1", "is named twice"),
    ],
)
def test_another_value_is_a_400_that_names_it(
    query: str, reason: str, client: FlaskClient, known: Body
) -> None:
    reply = _post(client, known, query)
    assert reply.status_code == 400
    assert reply.json == {"body": f"detail: {reason}", "status": "fail"}


def test_details_without_a_key_are_a_401(client: FlaskClient, known: Body) -> None:
    assert client.post("/reg/?detail=2", json=known).status_code == 401


@pytest.mark.parametrize("rows", [3, 401, 1100])
def test_each_row_of_an_array_has_its_detail(rows: int, client: FlaskClient) -> None:
    golden = [line["request"] for line in lines(GOLDEN)]
    body: list[object] = [golden[at % len(golden)] for at in range(rows)]
    body[1] = {}
    plain, detailed = _post(client, body, "").json, _post(client, body).json
    assert plain
    assert detailed
    assert detailed["status"] == plain["status"] == "partial"
    assert [_plain(item) for item in detailed["body"]] == plain["body"]
    assert all(set(ADDED) <= set(item) for at, item in enumerate(detailed["body"]) if at != 1)
    assert detailed["body"][1] == {"error": "regno_recognize: is missing"}
    # A row says the same alone.
    assert detailed["body"][2] == _of(client, body[2])  # type: ignore[arg-type]


def test_an_empty_array_has_no_details(client: FlaskClient) -> None:
    assert _post(client, []).json == {"body": [], "status": "ok"}


def test_the_costs_of_the_settings_make_the_decision(make_app: AppMaker, known: Body) -> None:
    positive = _of(make_app().test_client(), known)["positive"]
    assert 0.01 < positive < 0.99

    def decided(**costs: float) -> list[Any]:
        named = {f"cost_{name}": value for name, value in costs.items()}
        detail = _of(make_app(**named).test_client(), known)
        return [detail["decision"], detail["margin"]]

    assert decided(manual=0.0) == ["manual", pytest.approx(min(positive, 1 - positive))]
    low, high = 1 / 1001, 1000 / 1001
    assert decided(camera_wrong=1e3, manual=9.0) == ["network", pytest.approx(positive - low)]
    assert decided(network_wrong=1e3, manual=9.0) == ["camera", pytest.approx(high - positive)]


def test_warnings_say_what_is_doubtful(client: FlaskClient, known: Body) -> None:
    doubtful = {
        **known,
        "camera_class": "Cтрелка-m",
        "regno_recognize": "A939HO196",
        "afts_regno_ai_length_scores": [7.5],
        "time_check": "0001-01-01T00:00:00",
    }
    assert _of(client, doubtful)["warnings"] == [
        {
            "kind": "unseen-category",
            "field": "camera_class",
            "feature": "camera_class",
            "nearest": "Стрелка-М",
            "normalised": False,
        },
        {"kind": "lookalike-letters", "field": "regno_recognize", "normalised": False},
        {
            "kind": "out-of-range",
            "field": "afts_regno_ai_length_scores",
            "feature": "max_len_score",
            "least": 0.0,
            "greatest": 1.0,
        },
        {
            "kind": "length-mismatch",
            "field": "afts_regno_ai_length_scores",
            "confidences": 1,
            "expected": 11,
        },
        {"kind": "implausible-time", "field": "time_check"},
    ]
    same = {**known, "regno_recognize": known["afts_regno_ai"]}
    assert _of(client, same)["warnings"] == [{"kind": "readings-agree"}]


_schemas = document(10)["components"]["schemas"]
_reply = OAS31Validator(
    {"$ref": "#/components/schemas/ScoreReply", "components": {"schemas": _schemas}}
)


@given(request=requests())
@examples(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_details_are_as_documented(client: FlaskClient, request: Body) -> None:
    for body in (request, [request, {}]):
        reply = _post(client, body)
        assert reply.status_code == 200
        _reply.validate(reply.json)
        _detail = reply.json["body"][0] if isinstance(body, list) else reply.json["body"]  # type: ignore[index]
        assert set(_schemas["Detail"]["required"]) == set(_detail)
        OAS31Validator(
            {"$ref": "#/components/schemas/Detail", "components": {"schemas": _schemas}}
        ).validate(_detail)
