"""Guards at POST /reg/: what is scored, refused, reported and counted under each policy."""

from collections import deque
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.messages import failure, states
from tests.support.metrics import values
from tests.support.parts import AppMaker, parts_of
from tests.support.server import METRICS_TOKEN

Body = dict[str, Any]
KEY = {"x-api-key": "123321"}
LATIN = {"regno_recognize": "A939HO196"}
CYRILLIC = {"regno_recognize": "А939НО196"}


@pytest.fixture
def known(request_body: Body) -> Body:
    known = {"camera_class": "Стрелка", "camera_type": "Передвижная"}
    return {**request_body, **CYRILLIC, **known}


def _client(make_app: AppMaker, **settings: str) -> FlaskClient:
    return make_app(metrics_token=METRICS_TOKEN, **settings).test_client()


def _body(client: FlaskClient, body: object) -> Any:
    reply = client.post("/reg/", json=body, headers=KEY)
    assert reply.status_code == 200
    assert reply.json
    return reply.json["body"]


@pytest.mark.parametrize("rows", [1, 3, 500])
def test_normalised_gets_the_score_of_what_was_meant(
    rows: int, make_app: AppMaker, known: Body
) -> None:
    client = _client(make_app, guards="camera_class=normalise,regno_recognize=normalise")
    other = {**known, **LATIN, "camera_class": "стрелка"}
    right = _body(client, known)
    assert _body(client, [other] * rows) == [right] * rows
    assert _body(client, other) == right
    assert _body(_client(make_app), other) != right
    assert values(client, "scoring_normalised_values_total") == {
        'field="camera_class"': rows + 1.0,
        'field="regno_recognize"': rows + 1.0,
    }
    assert values(client, "scoring_unseen_categories_total") == {}
    assert values(client, "scoring_lookalike_readings_total") == {}


def test_normalised_fields_are_reported(make_app: AppMaker, known: Body) -> None:
    client = _client(make_app, unseen="normalise", guards="regno_recognize=normalise")
    reply = client.post("/reg/", json={**known, **LATIN, "camera_class": "стрелка"}, headers=KEY)
    warnings = reply.headers["X-Score-Warnings"].split(", ")
    assert sorted(warnings) == ["normalised:camera_class", "normalised:regno_recognize"]


def test_what_can_not_be_put_right_counts_as_unseen(make_app: AppMaker, known: Body) -> None:
    client = _client(make_app, unseen="normalise")
    strange = {**known, "camera_class": "Кордон"}
    assert _body(client, strange) == _body(_client(make_app), strange)
    assert values(client, "scoring_unseen_categories_total") == {'feature="camera_class"': 1.0}
    assert values(client, "scoring_normalised_values_total") == {}


def test_rejected_lookalikes_are_a_400_with_the_field(make_app: AppMaker, known: Body) -> None:
    client = _client(make_app, guards="regno_recognize=reject")
    reply = client.post("/reg/", json=known | LATIN, headers=KEY)
    reason = "regno_recognize: holds Latin letters where Cyrillic ones are meant"
    assert reply.status_code == 400
    assert reply.json == {"body": reason, "status": "fail"}
    rows = _body(client, [known, known | LATIN, {**known, "afts_regno_ai": "A939HO190"}])
    assert rows[1] == {"error": reason}
    assert set(rows[0]) == set(rows[2]) == {"negative", "positive"}
    assert values(client, "scoring_rows_refused_total") == {
        'field="regno_recognize",reason="lookalike"': 2.0
    }


def test_one_feature_may_be_stricter_or_laxer_than_the_default(
    make_app: AppMaker, known: Body
) -> None:
    strict = _client(make_app, guards="camera_type=reject")
    lax = _client(make_app, unseen="reject", guards="camera_class=accept")
    new_class, new_type = {**known, "camera_class": "Кордон"}, {**known, "camera_type": "Летучая"}
    for client in (strict, lax):
        assert client.post("/reg/", json=new_class, headers=KEY).status_code == 200
        reply = client.post("/reg/", json=new_type, headers=KEY)
        assert reply.status_code == 400
        assert reply.json
        assert states(failure(reply), "camera_type: ", "never saw")


def test_by_default_nothing_that_is_sent_is_changed(make_app: AppMaker, known: Body) -> None:
    client = _client(make_app)
    other = {**known, **LATIN, "camera_class": "стрелка"}
    assert _body(client, other) != _body(client, known)
    assert values(client, "scoring_normalised_values_total") == {}


def test_details_list_the_normalised_fields(make_app: AppMaker, known: Body) -> None:
    client = _client(make_app, guards="camera_class=normalise")
    other = {**known, "camera_class": "стрелка"}
    reply = client.post("/reg/?detail=1", json=[known, other], headers=KEY)
    assert reply.json
    right, detail = reply.json["body"]
    assert {**detail, "warnings": []} == right
    assert detail["warnings"] == [
        {
            "kind": "unseen-category",
            "field": "camera_class",
            "feature": "camera_class",
            "nearest": "Стрелка",
            "normalised": True,
        }
    ]


@pytest.mark.parametrize("rows", [0, 3])
def test_what_is_kept_to_be_scored_again_is_what_was_scored(
    rows: int, make_app: AppMaker, known: Body
) -> None:
    client = _client(make_app, guards="regno_recognize=normalise")
    slot = parts_of(client.application).slot
    slot.recent = deque()
    other = known | LATIN
    _body(client, [other] * rows if rows else other)
    kept = list(slot.recent)
    assert [reading.regno_recognize for reading in kept] == ["А939НО196"] * max(rows, 1)


def test_a_refused_row_of_an_array_is_not_kept(make_app: AppMaker, known: Body) -> None:
    app = make_app(guards="camera_class=reject")
    slot = parts_of(app).slot
    slot.recent = deque()
    reply = app.test_client().post(
        "/reg/", json=[known, {**known, "camera_class": "?"}], headers=KEY
    )
    assert reply.json
    assert reply.json["status"] == "partial"
    assert [reading.camera_class for reading in slot.recent] == [known["camera_class"]]
